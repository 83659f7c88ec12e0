#include "conf/config_table.h"

#include <sys/un.h>

#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>

#include "lib/clock.h"

#include "conf/config.h"

#define KILO (UINT64_C(1) << 10)
#define GIGA (UINT64_C(1) << 30)
#define MICROSECOND UINT64_C(1000)
#define HOUR UINT64_C(3600000000000)

#define ADDRESS_PATTERN "^([0-9.]*|\\*|\\[[0-9A-Fa-f:.]+(%.+)?\\]):[0-9]{1,5}$"
#define PREFIX_PATTERN "^[0-9A-Fa-f:.]+(/[0-9]{1,3})?$"

const char *const balance_names[] = { "hash", "cpu", "move", NULL };
const char *const event_method_names[] = { "auto", "epoll", "poll", "select", NULL };
const char *const seccomp_names[] = { "on", "log", "off", NULL };

static int
check_address(const char *text, char *error, size_t error_size)
{
	struct address address;

	return address_parse(text, &address, error, error_size);
}

static int
check_prefix(const char *text, char *error, size_t error_size)
{
	struct address_prefix prefix;

	return address_prefix_parse(text, &prefix, error, error_size);
}

static int
check_reply(const char *text, char *error, size_t error_size)
{
	struct reply reply;

	if (reply_parse(text, &reply, error, error_size) != 0)
		return -1;
	reply_finish(&reply);
	return 0;
}

/* What the kernel would take for a name; whether it has that one shows when the socket
 * is made, for a check opens none. */
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
	if (text[0] == '/')
		return 0;
	snprintf(
	    error, error_size, "found \"%.128s\", expected an absolute path", text);
	return -1;
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

#define LISTENER(member) SETTING_FIELD(struct listener_config, member)

static const struct setting listener_rows[] = {
	{ .name = "address",
	    .help =
		"Where to listen: \"127.0.0.1:10000\", \"[::1]:8001\", \"*:80\" (all of IPv4), \"[::]:80\" (all of IPv6).",
	    .type = SETTING_STRING,
	    .flags = SETTING_REQUIRED,
	    LISTENER(address_text),
	    .check = check_address,
	    .pattern = ADDRESS_PATTERN },
	{ .name = "reply",
	    .help = "Reply to each message." REPLY_HELP,
	    .type = SETTING_STRING,
	    .flags = SETTING_REQUIRED,
	    LISTENER(reply_text),
	    .initial = "upper",
	    .check = check_reply,
	    .pattern = REPLY_PATTERN },
	{ .name = "framing",
	    .help = "How received bytes are cut into messages." FRAMING_HELP,
	    .type = SETTING_ENUM,
	    LISTENER(framing),
	    .initial = "stream",
	    .names = framing_names },
	{ .name = "max_message",
	    .help = "Longest message in bytes; auto is limits.max_message.",
	    .type = SETTING_SIZE,
	    .flags = SETTING_AUTO,
	    LISTENER(max_message),
	    .initial = "auto",
	    .min = 1,
	    .max = GIGA },
	{ .name = "backlog",
	    .help =
		"Connections that may wait in the accept queue of each worker; the kernel bounds it with net.core.somaxconn.",
	    .type = SETTING_INTEGER,
	    LISTENER(backlog),
	    .initial = "4096",
	    .min = 1,
	    .max = 1048576 },
	{ .name = "nodelay",
	    .help = "Send each reply at once (TCP_NODELAY).",
	    .type = SETTING_BOOL,
	    LISTENER(nodelay),
	    .initial = "true" },
	{ .name = "balance",
	    .help =
		"Which worker gets a connection: the kernel's choice by hash (hash); the worker with the number of the CPU that it arrives on, for pinned workers (cpu; wrong where all clients sit on one CPU); by hash, and the master evens out what stays open (move).",
	    .type = SETTING_ENUM,
	    LISTENER(balance),
	    .initial = "hash",
	    .names = balance_names },
	{ .name = "congestion",
	    .help =
		"Congestion control of its connections, as \"reno\"; empty is the system's default.",
	    .type = SETTING_STRING,
	    LISTENER(congestion),
	    .check = check_congestion,
	    .pattern = "^[0-9A-Za-z_-]{1,15}$" },
	{ .name = "allow",
	    .help =
		"Address prefixes that may connect, as \"10.0.0.0/8\"; empty is everybody.",
	    .type = SETTING_STRINGS,
	    LISTENER(allow_texts),
	    .count_offset = offsetof(struct listener_config, allow_count),
	    .max = CONFIG_PREFIXES_MAX,
	    .check = check_prefix,
	    .pattern = PREFIX_PATTERN },
	{ .name = "deny",
	    .help =
		"Address prefixes that may not connect, also when allow holds them.",
	    .type = SETTING_STRINGS,
	    LISTENER(deny_texts),
	    .count_offset = offsetof(struct listener_config, deny_count),
	    .max = CONFIG_PREFIXES_MAX,
	    .check = check_prefix,
	    .pattern = PREFIX_PATTERN },
	{ .name = "max_connections_per_address",
	    .help =
		"Connections that an address (IPv6: a /64) may have open here, at all workers together; 0 is any number.",
	    .type = SETTING_COUNT,
	    .flags = SETTING_OFF,
	    LISTENER(max_connections_per_address),
	    .initial = "0",
	    .min = 1,
	    .max = 1000000 },
	{ .name = "accept_rate",
	    .help =
		"New connections a second that are accepted from an address (IPv6: a /64), by all workers together; 0 is any number.",
	    .type = SETTING_COUNT,
	    .flags = SETTING_OFF,
	    LISTENER(accept_rate),
	    .initial = "0",
	    .min = 1,
	    .max = 1000000 },
	{ .name = NULL },
};

const struct settings config_listener_table = { .title = "listener",
	.rows = listener_rows,
	.size = sizeof(struct listener_config) };

#define CONFIG(member) SETTING_FIELD(struct config, member)

#define TIMEOUT(key, member, text, least, help_text)                                   \
	{                                                                              \
		.name = "timeouts." key, .help = help_text, .type = SETTING_DURATION,  \
		.flags = SETTING_OFF, CONFIG(timeouts.member), .initial = text,        \
		.min = (least), .max = 1000 * HOUR                                     \
	}

static const struct setting rows[] = {
	{ .name = "$schema",
	    .help =
		"Where an editor finds the schema of this file; no meaning for yodeld.",
	    .type = SETTING_ANNOTATION },
	{ .name = "workers",
	    .help = "Worker processes; auto is one for each CPU that yodeld may use.",
	    .type = SETTING_INTEGER,
	    .flags = SETTING_AUTO,
	    CONFIG(workers),
	    .initial = "auto",
	    .min = 1,
	    .max = CONFIG_WORKERS_MAX },
	{ .name = "listeners",
	    .help = "Where yodeld listens, and what it answers there.",
	    .type = SETTING_OBJECTS,
	    CONFIG(listeners),
	    .count_offset = offsetof(struct config, listener_count),
	    .initial = "[{ \"address\": \"127.0.0.1:10000\", \"reply\": \"upper\" }]",
	    .min = 1,
	    .max = CONFIG_LISTENERS_MAX,
	    .items = &config_listener_table },
	{ .name = "events.method",
	    .help = "The system call that waits for events; auto is the best there is.",
	    .type = SETTING_ENUM,
	    CONFIG(event_method),
	    .initial = "auto",
	    .names = event_method_names },
	{ .name = "events.spin",
	    .help =
		"How long a worker looks for more before it sleeps, after the last that came: a shorter latency for a busy CPU, from 50us or so on.",
	    .type = SETTING_DURATION,
	    .flags = SETTING_OFF,
	    CONFIG(spin_ns),
	    .initial = "0s",
	    .min = MICROSECOND,
	    .max = 1000 * NS_PER_MS },
	{ .name = "cpu_affinity",
	    .help = "Bind each worker to a CPU of its own, in turn.",
	    .type = SETTING_BOOL,
	    CONFIG(cpu_affinity),
	    .initial = "false" },
	{ .name = "user",
	    .help =
		"The user that workers of a yodeld that root starts run as; empty is the one that started it.",
	    .type = SETTING_STRING,
	    CONFIG(user),
	    .check = check_user },
	{ .name = "group",
	    .help = "The group that workers run as, with user; empty is that user's.",
	    .type = SETTING_STRING,
	    CONFIG(group),
	    .check = check_group },
	{ .name = "limits.max_connections",
	    .help =
		"Open connections in all; auto is what the descriptor limits allow.",
	    .type = SETTING_COUNT,
	    .flags = SETTING_AUTO,
	    CONFIG(limits.max_connections),
	    .initial = "auto",
	    .min = 1,
	    .max = 100000000 },
	{ .name = "limits.max_message",
	    .help = "Longest message in bytes; a longer one closes its connection.",
	    .type = SETTING_SIZE,
	    CONFIG(limits.max_message),
	    .initial = "64k",
	    .min = 1,
	    .max = GIGA },
	{ .name = "limits.max_pending",
	    .help =
		"Bytes of reply that may wait on a connection before it is read again.",
	    .type = SETTING_SIZE,
	    CONFIG(limits.max_pending),
	    .initial = "1M",
	    .min = KILO,
	    .max = GIGA },
	TIMEOUT("idle", idle_ns, "0s", NS_PER_MS,
	    "Close a connection on which nothing came this long since its last reply."),
	TIMEOUT("stalled_write", stalled_write_ns, "30s", NS_PER_MS,
	    "Close a connection whose peer has taken nothing of its replies this long."),
	TIMEOUT("drain", drain_ns, "30s", NS_PER_MS,
	    "How long a worker that leaves, at a stop or a change, waits for its connections; 0 is as long as they last."),
	TIMEOUT("drain_quiet", drain_quiet_ns, "250ms", NS_PER_MS,
	    "While draining, close a connection that is quiet this long."),
	/* Some beats of a worker's (timeouts.c), and looks of the master's. */
	TIMEOUT("hung", hung_ns, "30s", 500 * NS_PER_MS,
	    "Replace a worker whose loop stands still this long."),
	{ .name = "security.seccomp",
	    .help =
		"What becomes of a worker that makes a system call which its loop does not need: it is killed (on), that is written to the kernel's log (log), or nothing (off).",
	    .type = SETTING_ENUM,
	    CONFIG(security.seccomp),
	    .initial = "on",
	    .names = seccomp_names },
	{ .name = "log.level",
	    .help = "The least that is logged.",
	    .type = SETTING_ENUM,
	    CONFIG(log.level),
	    .initial = "info",
	    .names = log_level_names },
	{ .name = "log.format",
	    .help = "Lines for people (text) or for programs (json).",
	    .type = SETTING_ENUM,
	    CONFIG(log.format),
	    .initial = "text",
	    .names = log_format_names },
	{ .name = "log.file",
	    .help =
		"Absolute path of the log file, whose lines begin with time and level; empty is stderr.",
	    .type = SETTING_STRING,
	    CONFIG(log.file),
	    .check = check_path,
	    .pattern = "^/" },
	{ .name = "log.syslog",
	    .help = "Log to the system's log (syslog) in the place of stderr.",
	    .type = SETTING_BOOL,
	    CONFIG(log.syslog),
	    .initial = "false" },
	{ .name = "log.console_level",
	    .help =
		"The least that stderr gets as well when the log is a file or syslog.",
	    .type = SETTING_ENUM,
	    CONFIG(log.console),
	    .initial = "error",
	    .names = log_console_names },
	{ .name = "admin.socket",
	    .help =
		"Absolute path of the Unix socket that yodelctl talks to; empty is none.",
	    .type = SETTING_STRING,
	    CONFIG(admin.socket),
	    .check = check_socket_path,
	    .pattern = "^/" },
	{ .name = "admin.group",
	    .help = "The group that may use admin.socket; empty is that of yodeld.",
	    .type = SETTING_STRING,
	    CONFIG(admin.group),
	    .check = check_group },
	{ .name = "admin.address",
	    .help =
		"TCP address for reading metrics over HTTP, as \"127.0.0.1:9601\"; empty is none.",
	    .type = SETTING_STRING,
	    CONFIG(admin.address),
	    .check = check_address,
	    .pattern = ADDRESS_PATTERN },
	{ .name = NULL },
};

const struct settings config_table = { .title = "Configuration of yodeld",
	.rows = rows,
	.size = sizeof(struct config),
	.origins_offset = offsetof(struct config, origins) };
