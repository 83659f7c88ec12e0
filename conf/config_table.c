#include <sys/un.h>

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/printable.h"
#include "conf/config.h"
#include "conf/listener_kind.h"

#define KILO (UINT64_C(1) << 10)
#define GIGA (UINT64_C(1) << 30)
#define MICROSECOND UINT64_C(1000)
#define HOUR UINT64_C(3600000000000)

#define INET_PATTERN "([0-9.]*|\\*|\\[[0-9A-Fa-f:.]+(%.+)?\\]):[0-9]{1,5}"
#define ADDRESS_PATTERN "^" INET_PATTERN "$"
#define LISTENER_PATTERN "^((mptcp:)?" INET_PATTERN "|unix:[/@].+)$"
#define PATH_PATTERN "^/[^\\u0000-\\u001f\\u007f-\\u009f]*$"
#define FILE_PATTERN "^[^\\u0000-\\u001f\\u007f-\\u009f]+$"
#define PREFIX_PATTERN "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$"

const char *const balance_names[] = { "hash", "cpu", "move", NULL };
const char *const proxy_protocol_names[] = { "off", "v1", "v2", "any", NULL };
const char *const event_method_names[] = { "auto", "epoll", "poll", "select", NULL };
const char *const seccomp_names[] = { "on", "log", "off", NULL };
const char *const client_verify_names[] = { "none", "optional", "require", NULL };
const char *const tls_version_names[] = { "1.2", "1.3", NULL };

static int
check_listener_address(const char *text, char *error, size_t error_size)
{
	struct address address;
	return address_parse(text, &address, error, error_size) < 0
	    ? -1
	    : address_check_bindable(&address, error, error_size);
}

static int
check_tcp_address(const char *text, char *error, size_t error_size)
{
	struct address address;
	if (check_listener_address(text, error, error_size) < 0)
		return -1;
	if (address_parse(text, &address, error, error_size) == 0 &&
	    !address_is_unix(&address) && !address.is_mptcp)
		return 0;
	snprintf(error, error_size, "found \"%.128s\", expected a TCP address", text);
	return -1;
}

static int
check_mode(const char *text, char *error, size_t error_size)
{
	size_t length = strspn(text, "01234567");
	if ((length == 3 || (length == 4 && text[0] == '0')) && text[length] == '\0')
		return 0;
	snprintf(error, error_size,
	    "found \"%.64s\", expected an octal mode such as \"0660\"", text);
	return -1;
}

static int
check_prefix(const char *text, char *error, size_t error_size)
{
	struct address_prefix prefix;
	return address_prefix_parse(text, &prefix, error, error_size);
}

/* Checks the text alone; config.c checks it with the framing and reply. */
static int
check_fault(const char *text, char *error, size_t error_size)
{
	struct fault fault;
	return fault_parse(text, &fault, error, error_size);
}

static int
check_reply(const char *text, char *error, size_t error_size)
{
	struct reply reply;
	if (reply_parse_server(text, &reply, error, error_size) != 0)
		return -1;
	reply_finish(&reply);
	return 0;
}

/* Checks the form of the name. Whether the kernel has that congestion control turns out
 * when the socket is opened; a check opens none. */
static int
check_congestion(const char *text, char *error, size_t error_size)
{
	enum { LONGEST = 15 };
	size_t length = strspn(
	    text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_-");

	if (length <= LONGEST && text[length] == '\0')
		return 0;
	snprintf(error, error_size,
	    "found \"%.64s\", expected the name of a congestion control: up to %d letters, digits, \"_\" and \"-\"",
	    text, LONGEST);
	return -1;
}

static int
check_instance(const char *text, char *error, size_t error_size)
{
	enum { LONGEST = 64 };
	size_t length = strspn(
	    text, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz._:-");
	if (length <= LONGEST && text[length] == '\0')
		return 0;
	snprintf(error, error_size,
	    "found \"%.80s\", expected a name of up to %d letters, digits, \".\", \"_\", \":\" and \"-\"",
	    text, LONGEST);
	return -1;
}

static int
check_user(const char *text, char *error, size_t error_size)
{
	if (getpwnam(text) != NULL)
		return 0;
	snprintf(
	    error, error_size, "found \"%.64s\", expected a user of this system", text);
	return -1;
}

static int
check_group(const char *text, char *error, size_t error_size)
{
	if (getgrnam(text) != NULL)
		return 0;
	snprintf(error, error_size, "found \"%.64s\", expected a group of this system",
	    text);
	return -1;
}

static int
check_path(const char *text, char *error, size_t error_size)
{
	size_t length;
	if (text[0] != '/') {
		snprintf(error, error_size,
		    "found \"%.128s\", expected an absolute path", text);
		return -1;
	}
	/* It is printed in one line, and an upgrade passes it on as JSON. */
	for (const char *at = text; *at != '\0'; at += length) {
		length = printable_length(at);
		if (length > 0)
			continue;
		snprintf(error, error_size,
		    "found a control character (0x%02x, byte %zu), expected an absolute path without one",
		    (unsigned)(unsigned char)*at, (size_t)(at - text) + 1);
		return -1;
	}
	return 0;
}

static int
check_socket_path(const char *text, char *error, size_t error_size)
{
	const size_t longest = sizeof((struct sockaddr_un *)0)->sun_path - 1;
	if (check_path(text, error, error_size) < 0)
		return -1;
	if (strlen(text) <= longest)
		return 0;
	snprintf(error, error_size,
	    "found a path of %zu bytes, expected at most %zu (the size of a socket address)",
	    strlen(text), longest);
	return -1;
}

/* A path that may be relative: it starts at the folder of the file that names it. */
static int
check_file_name(const char *text, char *error, size_t error_size)
{
	size_t length;
	for (const char *at = text; *at != '\0'; at += length) {
		length = printable_length(at);
		if (length > 0)
			continue;
		snprintf(error, error_size,
		    "found a control character (0x%02x, byte %zu), expected a path without one",
		    (unsigned)(unsigned char)*at, (size_t)(at - text) + 1);
		return -1;
	}
	return 0;
}

/* "example.org", or "*.example.org" for all names with one label more. */
static int
check_server_name(const char *text, char *error, size_t error_size)
{
	enum { LONGEST = 253 };
	const char *name = strncmp(text, "*.", 2) == 0 ? text + 2 : text;
	size_t length = strspn(
	    name, "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_.-");
	if (length > 0 && length <= LONGEST && name[length] == '\0' && name[0] != '.')
		return 0;
	snprintf(error, error_size,
	    "found \"%.128s\", expected a host name such as \"example.org\" or \"*.example.org\"",
	    text);
	return -1;
}

/* Checks a list of application protocols (RFC 7301, 3.1). */
static int
check_alpn(const char *text, char *error, size_t error_size)
{
	enum { LONGEST = 255 };
	size_t length = strlen(text);
	bool is_printable = true;
	for (size_t i = 0; i < length; i++)
		is_printable = is_printable && text[i] > ' ' && text[i] <= '~';
	if (is_printable && length <= LONGEST)
		return 0;
	snprintf(error, error_size,
	    "found \"%.64s\", expected the name of a protocol: up to %d printable ASCII characters without spaces",
	    text, LONGEST);
	return -1;
}

#define TLS_NAME(member) SETTING_FIELD(struct tls_name_config, member)

static const struct setting tls_name_rows[] = {
	{ "name",
	    "Name that the client asks for: \"example.org\", or \"*.example.org\" for all names with one label in place of the asterisk.",
	    SETTING_STRING, SETTING_REQUIRED, TLS_NAME(name),
	    .check = check_server_name },
	{ "certificate", "PEM file with the certificate for this name and its chain.",
	    SETTING_STRING, SETTING_REQUIRED, TLS_NAME(certificate),
	    .check = check_file_name, .pattern = FILE_PATTERN },
	{ "key", "PEM file with the private key of that certificate.", SETTING_STRING,
	    SETTING_REQUIRED, TLS_NAME(key), .check = check_file_name,
	    .pattern = FILE_PATTERN },
	{ .name = NULL },
};

static const struct settings tls_name_table = {
	.title = "name", .rows = tls_name_rows, .size = sizeof(struct tls_name_config)
};

#define LISTENER(member) SETTING_FIELD(struct listener_config, member)

/* Type, default and flags of a setting, by the type of a row in socket_options.h. */
#define NUMBER .type = SETTING_INTEGER, .initial = "0", .flags = SETTING_OFF
#define BYTES .type = SETTING_SIZE, .initial = "0", .flags = SETTING_OFF
#define RATE .type = SETTING_SIZE, .initial = "0", .flags = SETTING_OFF
#define TIME .type = SETTING_DURATION, .initial = "0s", .flags = SETTING_OFF
#define FLAG .type = SETTING_BOOL, .initial = "false"
#define TEXT .type = SETTING_STRING
#define SOCKET_OPTION_ROW(member, kind, option, argument, least, most, text)           \
	{ .name = #member,                                                             \
		.help = "Socket option: " text ".",                                    \
		LISTENER(sockets.member),                                              \
		.min = (least),                                                        \
		.max = (most),                                                         \
		kind },

static const struct setting listener_rows[] = {
	{ "address",
	    "Address to listen on: \"127.0.0.1:10000\", \"[::1]:8001\", \"*:80\" (all IPv4 addresses), \"[::]:80\" (all IPv6 addresses); the same behind \"mptcp:\" for Multipath TCP; \"unix:/run/yodel/echo\" or \"unix:@echo\" (an abstract name) for a Unix socket.",
	    SETTING_STRING, SETTING_REQUIRED, LISTENER(address_text),
	    .check = check_listener_address, .pattern = LISTENER_PATTERN },
	{ "reply", "Reply to each message." SERVER_REPLY_HELP, SETTING_STRING,
	    SETTING_REQUIRED, LISTENER(reply_text), .initial = "upper",
	    .check = check_reply, .pattern = SERVER_REPLY_PATTERN },
	{ "framing", "How received bytes are cut into messages." FRAMING_HELP,
	    SETTING_ENUM, 0, LISTENER(framing), .initial = "stream",
	    .names = framing_names },
	{ "max_message", "Longest message in bytes; auto is limits.max_message.",
	    SETTING_SIZE, SETTING_AUTO, LISTENER(max_message_setting),
	    .initial = "auto", .min = 1, .max = GIGA },
	{ "backlog",
	    "Connections that may wait in the accept queue of each worker; the kernel limits it to net.core.somaxconn.",
	    SETTING_INTEGER, 0, LISTENER(backlog), .initial = "4096", .min = 1,
	    .max = 1048576 },
	{ "nodelay", "Send each reply at once (TCP_NODELAY).", SETTING_BOOL, 0,
	    LISTENER(nodelay), .initial = "true" },
	{ "balance",
	    "Which worker gets a connection. hash: the kernel's choice by a hash of the addresses. cpu: the worker with the number of the CPU on which the connection arrives, for pinned workers; do not use it where all clients arrive on one CPU. move: by hash, and the master moves open connections so that all workers have the same number. The workers share the queue of a Unix socket, where hash is the same as move.",
	    SETTING_ENUM, 0, LISTENER(balance_setting), .initial = "hash",
	    .names = balance_names },
	{ "congestion",
	    "Congestion control of the connections, such as \"reno\"; empty is the system's default.",
	    SETTING_STRING, 0, LISTENER(congestion), .check = check_congestion,
	    .pattern = "^[0-9A-Za-z_-]{1,15}$" },
	SOCKET_OPTIONS_BOTH(SOCKET_OPTION_ROW) SOCKET_OPTIONS_SERVER(SOCKET_OPTION_ROW){
	    "allow",
	    "Address prefixes that may connect, such as \"10.0.0.0/8\"; empty allows all.",
	    SETTING_STRINGS, 0, LISTENER(allow_texts),
	    .count_offset = offsetof(struct listener_config, allow_count),
	    .max = CONFIG_PREFIXES_MAX, .check = check_prefix,
	    .pattern = PREFIX_PATTERN },
	{ "deny", "Address prefixes that may not connect, even if allow contains them.",
	    SETTING_STRINGS, 0, LISTENER(deny_texts),
	    .count_offset = offsetof(struct listener_config, deny_count),
	    .max = CONFIG_PREFIXES_MAX, .check = check_prefix,
	    .pattern = PREFIX_PATTERN },
	{ "proxy_protocol",
	    "PROXY header that a load balancer sends in front of the data of each connection: v1, v2, any (one of the two) or off. It is never optional. The address in it takes the place of the peer's in allow, deny, max_connections_per_address, accept_rate, the log and whoami.",
	    SETTING_ENUM, 0, LISTENER(proxy_protocol), .initial = "off",
	    .names = proxy_protocol_names },
	{ "proxy_from",
	    "Address prefixes of the load balancers that send PROXY headers; any other peer is refused. Required unless proxy_protocol is off, or the listener is a Unix socket.",
	    SETTING_STRINGS, 0, LISTENER(proxy_from_texts),
	    .count_offset = offsetof(struct listener_config, proxy_from_count),
	    .max = CONFIG_PREFIXES_MAX, .check = check_prefix,
	    .pattern = PREFIX_PATTERN },
	{ "owner",
	    "Owner of the file of a Unix socket, a name or a number; empty is the user of yodeld. Another one needs CAP_CHOWN.",
	    SETTING_STRING, 0, LISTENER(owner_text),
	    .check = listener_kind_check_user },
	{ "group",
	    "Group of the file of a Unix socket, a name or a number; empty is the group of yodeld.",
	    SETTING_STRING, 0, LISTENER(group_text),
	    .check = listener_kind_check_group },
	{ "mode",
	    "Octal mode of the file of a Unix socket, such as \"0666\": a process that may write to it may connect; empty is \"0660\".",
	    SETTING_STRING, 0, LISTENER(mode_text), .check = check_mode,
	    .pattern = "^0?[0-7]{3}$" },
	{ "allow_users",
	    "Users that may connect to a Unix socket, names or numbers; empty, with allow_groups, allows all.",
	    SETTING_STRINGS, 0, LISTENER(allow_user_texts),
	    .count_offset = offsetof(struct listener_config, allow_user_count),
	    .max = CONFIG_PREFIXES_MAX, .check = listener_kind_check_user },
	{ "allow_groups",
	    "Groups whose members may connect to a Unix socket, names or numbers, beside allow_users.",
	    SETTING_STRINGS, 0, LISTENER(allow_group_texts),
	    .count_offset = offsetof(struct listener_config, allow_group_count),
	    .max = CONFIG_PREFIXES_MAX, .check = listener_kind_check_group },
	{ "max_connections_per_address",
	    "Connections that one client address (IPv6: a /64; Unix socket: a user) may have open, over all workers; 0 is no limit.",
	    SETTING_COUNT, SETTING_OFF, LISTENER(max_connections_per_address),
	    .initial = "0", .min = 1, .max = 1000000 },
	{ "accept_rate",
	    "New connections per second that are accepted from one client address (IPv6: a /64; Unix socket: a user), over all workers; 0 is no limit.",
	    SETTING_COUNT, SETTING_OFF, LISTENER(accept_rate), .initial = "0", .min = 1,
	    .max = 1000000 },
	{ "tls.certificate",
	    "PEM file with the certificate of the server, followed by those that lead to its authority; empty: connections are not encrypted. A relative path starts at the folder of the configuration file. A reload reads the file again; open connections are not affected.",
	    SETTING_STRING, 0, LISTENER(tls.certificate), .check = check_file_name,
	    .pattern = FILE_PATTERN },
	{ "tls.key",
	    "PEM file with the private key of the certificate, without a passphrase. yodeld must be able to read it at every reload and upgrade; the packaged service runs as the user yodel, so the file should be 0640 root:yodel.",
	    SETTING_STRING, 0, LISTENER(tls.key), .check = check_file_name,
	    .pattern = FILE_PATTERN },
	{ "tls.client_ca",
	    "PEM file with the authorities whose client certificates are accepted.",
	    SETTING_STRING, 0, LISTENER(tls.client_ca), .check = check_file_name,
	    .pattern = FILE_PATTERN },
	{ "tls.client_verify",
	    "Certificates of clients. none: not asked for. optional: verified with client_ca if the client sends one. require: a client without a valid one is refused.",
	    SETTING_ENUM, 0, LISTENER(tls.client_verify), .initial = "none",
	    .names = client_verify_names },
	{ "tls.min_version", "Oldest version of TLS that is accepted.", SETTING_ENUM, 0,
	    LISTENER(tls.min_version), .initial = "1.2", .names = tls_version_names },
	{ "tls.max_version", "Newest version of TLS that is offered.", SETTING_ENUM, 0,
	    LISTENER(tls.max_version), .initial = "1.3", .names = tls_version_names },
	{ "tls.ciphers",
	    "Cipher suites in order of preference, by their OpenSSL names and separated by colons, such as \"TLS_AES_128_GCM_SHA256:ECDHE-ECDSA-AES128-GCM-SHA256\"; empty is all that yodeld has: the suites with AES-GCM and ChaCha20-Poly1305.",
	    SETTING_STRING, 0, LISTENER(tls.ciphers) },
	{ "tls.groups",
	    "Key exchange groups in order of preference, such as \"X25519:P-256\"; empty is the choice of the OpenSSL library.",
	    SETTING_STRING, 0, LISTENER(tls.groups) },
	{ "tls.alpn",
	    "Application protocols that the server knows, the preferred one first; a client that offers only others is refused. Empty: the extension is ignored.",
	    SETTING_STRINGS, 0, LISTENER(tls.alpn),
	    .count_offset = offsetof(struct listener_config, tls.alpn_count), .max = 16,
	    .check = check_alpn },
	{ "tls.tickets",
	    "Let clients resume sessions by tickets, also after a reload or an upgrade.",
	    SETTING_BOOL, 0, LISTENER(tls.tickets), .initial = "true" },
	{ "tls.expiry_warning_days",
	    "Days before a certificate of the listener expires from which on the log warns: then, 7 days and 1 day before, and when it has expired; 0 warns only when it has expired.",
	    SETTING_COUNT, 0, LISTENER(tls.expiry_warning_days), .initial = "30",
	    .max = 3650 },
	{ "tls.sni",
	    "Certificates for other names that clients may ask for (server name indication); the first name that matches is used, else tls.certificate.",
	    SETTING_OBJECTS, 0, LISTENER(tls.sni),
	    .count_offset = offsetof(struct listener_config, tls.sni_count), .max = 256,
	    .items = &tls_name_table },
	{ "faults",
	    "Faults to inject on purpose, such as \"delay normal 20ms 5ms\" or \"reset after 4096 bytes on 1%\"; see FAULTS in yodeld.json(5).",
	    SETTING_STRINGS, 0, LISTENER(fault_texts),
	    .count_offset = offsetof(struct listener_config, fault_text_count),
	    .max = FAULTS_MAX, .check = check_fault },
	{ .name = NULL },
};

const struct settings config_listener_table = { .title = "listener",
	.rows = listener_rows,
	.size = sizeof(struct listener_config) };

#define CONFIG(member) SETTING_FIELD(struct config, member)

static const struct setting rows[] = {
	{ .name = "$schema",
	    .help =
		"Location of this file's JSON Schema, for editors; yodeld ignores it.",
	    .type = SETTING_ANNOTATION },
	{ "workers",
	    "Worker processes; auto is one for each CPU that yodeld may use, or fewer if its control group has less CPU time.",
	    SETTING_INTEGER, SETTING_AUTO, CONFIG(workers_setting), .initial = "auto",
	    .min = 1, .max = CONFIG_WORKERS_MAX },
	{ "listeners", "Addresses that yodeld listens on, and the replies sent there.",
	    SETTING_OBJECTS, 0, CONFIG(listeners),
	    .count_offset = offsetof(struct config, listener_count),
	    .initial = "[{ \"address\": \"127.0.0.1:10000\", \"reply\": \"upper\" }]",
	    .min = 1, .max = CONFIG_LISTENERS_MAX, .items = &config_listener_table },
	{ "events.method",
	    "System call that waits for events; auto is the best one available.",
	    SETTING_ENUM, 0, CONFIG(event_method), .initial = "auto",
	    .names = event_method_names },
	{ "events.spin",
	    "Busy-poll this long after the last event before sleeping: lower latency, higher CPU use; useful from about 50us.",
	    SETTING_DURATION, SETTING_OFF, CONFIG(spin_ns), .initial = "0s",
	    .min = MICROSECOND, .max = 1000 * NS_PER_MS },
	{ "cpu_affinity", "Pin each worker to one CPU, in turn.", SETTING_BOOL, 0,
	    CONFIG(cpu_affinity), .initial = "false" },
	{ "survive_crashes",
	    "Keep connections open when their worker dies, with a second process for each worker that passes them to another one.",
	    SETTING_BOOL, 0, CONFIG(survive_crashes), .initial = "true" },
	{ "instance",
	    "Name of this server in the reply whoami; empty is the name of the host.",
	    SETTING_STRING, 0, CONFIG(instance), .check = check_instance,
	    .pattern = "^[0-9A-Za-z._:-]{1,64}$" },
	{ "user",
	    "User that the workers run as when root starts yodeld; empty is the user that started it.",
	    SETTING_STRING, 0, CONFIG(user), .check = check_user },
	{ "group",
	    "Group that the workers run as, together with user; empty is that user's group.",
	    SETTING_STRING, 0, CONFIG(group), .check = check_group },
	{ "fault_seed",
	    "Seed of the decisions on faults: with the same one, a client that uses the same addresses and ports sees the same faults.",
	    SETTING_INTEGER, 0, CONFIG(fault_seed), .initial = "1",
	    .max = UINT64_C(1) << 53 },
	{ "fault_record",
	    "Injected faults that are remembered, the latest ones; takes effect when yodeld starts.",
	    SETTING_COUNT, 0, CONFIG(fault_record), .initial = "65536", .min = 16,
	    .max = 10000000 },
	{ "limits.max_connections",
	    "Open connections of the whole server; auto is what the descriptor limits allow.",
	    SETTING_COUNT, SETTING_AUTO, CONFIG(limits.max_connections),
	    .initial = "auto", .min = 1, .max = 100000000 },
	{ "limits.max_message",
	    "Longest message in bytes; a longer one closes its connection.",
	    SETTING_SIZE, 0, CONFIG(limits.max_message), .initial = "64k", .min = 1,
	    .max = GIGA },
	{ "limits.max_pending",
	    "Unsent reply bytes of a connection above which yodeld stops reading from it.",
	    SETTING_SIZE, 0, CONFIG(limits.max_pending), .initial = "1M", .min = KILO,
	    .max = GIGA },
	{ "limits.handshakes",
	    "Connections of each worker that may wait for their PROXY header or TLS handshake at the same time; more are refused.",
	    SETTING_COUNT, 0, CONFIG(limits.handshakes), .initial = "4000", .min = 1,
	    .max = 1000000 },
	{ "timeouts.idle",
	    "Close a connection on which nothing was received this long after its last reply.",
	    SETTING_DURATION, SETTING_OFF, CONFIG(timeouts.idle_ns), .initial = "0s",
	    .min = NS_PER_MS, .max = 1000 * HOUR },
	{ "timeouts.stalled_write",
	    "Close a connection whose peer has read nothing of its replies for this long.",
	    SETTING_DURATION, SETTING_OFF, CONFIG(timeouts.stalled_write_ns),
	    .initial = "30s", .min = NS_PER_MS, .max = 1000 * HOUR },
	{ "timeouts.drain",
	    "How long a worker that stops or is replaced waits for its open connections; 0 is no limit.",
	    SETTING_DURATION, SETTING_OFF, CONFIG(timeouts.drain_ns), .initial = "30s",
	    .min = NS_PER_MS, .max = 1000 * HOUR },
	{ "timeouts.drain_quiet",
	    "While draining, close a connection that has been idle this long.",
	    SETTING_DURATION, SETTING_OFF, CONFIG(timeouts.drain_quiet_ns),
	    .initial = "250ms", .min = NS_PER_MS, .max = 1000 * HOUR },
	/* The minimum covers several heartbeats of a worker and checks of the master.
	 */
	{ "timeouts.hung",
	    "Replace a worker whose event loop has not run for this long.",
	    SETTING_DURATION, SETTING_OFF, CONFIG(timeouts.hung_ns), .initial = "30s",
	    .min = 500 * NS_PER_MS, .max = 1000 * HOUR },
	{ "timeouts.handshake",
	    "Close a connection whose PROXY header is not complete this long after it was accepted, or whose TLS handshake is not complete this long after that or the header.",
	    SETTING_DURATION, 0, CONFIG(timeouts.handshake_ns), .initial = "10s",
	    .min = NS_PER_MS, .max = HOUR },
	{ "security.seccomp",
	    "System calls that a worker does not need. on: the worker is killed. log: the kernel logs the call. off: no filter.",
	    SETTING_ENUM, 0, CONFIG(security.seccomp), .initial = "on",
	    .names = seccomp_names },
	{ "log.level", "Least severe level that is logged.", SETTING_ENUM, 0,
	    CONFIG(log.level), .initial = "info", .names = log_level_names },
	{ "log.format",
	    "Format of the log: lines of text (text) or JSON objects with an event and its values (json).",
	    SETTING_ENUM, 0, CONFIG(log.format), .initial = "text",
	    .names = log_format_names },
	{ "log.file",
	    "Absolute path of the log file or FIFO, whose lines begin with time and level; empty is stderr.",
	    SETTING_STRING, 0, CONFIG(log.file), .check = check_path,
	    .pattern = PATH_PATTERN },
	{ "log.syslog", "Log to syslog instead of stderr.", SETTING_BOOL, 0,
	    CONFIG(log.syslog), .initial = "false" },
	{ "log.console_level",
	    "Least severe level that is also written to stderr when the log is a file or syslog.",
	    SETTING_ENUM, 0, CONFIG(log.console), .initial = "error",
	    .names = log_console_names },
	{ "admin.socket",
	    "Absolute path of the Unix socket for yodelctl; empty disables it.",
	    SETTING_STRING, 0, CONFIG(admin.socket), .check = check_socket_path,
	    .pattern = PATH_PATTERN },
	{ "admin.group",
	    "Group that may use admin.socket; empty is the group of yodeld.",
	    SETTING_STRING, 0, CONFIG(admin.group), .check = check_group },
	{ "admin.address",
	    "TCP address for read-only HTTP requests such as metrics, for example \"127.0.0.1:9601\"; empty disables it.",
	    SETTING_STRING, 0, CONFIG(admin.address), .check = check_tcp_address,
	    .pattern = ADDRESS_PATTERN },
	{ .name = NULL },
};

const struct settings config_table = { .title = "Configuration of yodeld",
	.rows = rows,
	.size = sizeof(struct config),
	.origins_offset = offsetof(struct config, origins) };
