#include "proto/whoami.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* Bytes of a text from a PROXY header that are shown. */
#define SHOWN_MAX 64

struct line {
	char *text;
	size_t length;
};

/* The longest line fits (unit test); a longer one would be cut, not overrun. */
__attribute__((format(printf, 2, 3))) static void
add(struct line *line, const char *format, ...)
{
	size_t room = WHOAMI_MAX - line->length;
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(line->text + line->length, room, format, arguments);
	va_end(arguments);
	if (n > 0)
		line->length += (size_t)n < room ? (size_t)n : room - 1;
}

/* Bytes that are not printable ASCII are escaped. */
static void
add_escaped(struct line *line, const void *data, size_t length)
{
	const uint8_t *bytes = data;
	for (size_t i = 0; i < length; i++) {
		if (bytes[i] < ' ' || bytes[i] >= 0x7f)
			add(line, "\\u%04x", bytes[i]);
		else if (bytes[i] == '"' || bytes[i] == '\\')
			add(line, "\\%c", bytes[i]);
		else
			add(line, "%c", bytes[i]);
	}
}

/* A string, of which the beginning is shown. */
static void
add_text(struct line *line, const char *name, const void *data, size_t length)
{
	add(line, ",\"%s\":\"", name);
	add_escaped(line, data, length < SHOWN_MAX ? length : SHOWN_MAX);
	add(line, "\"");
}

/* The name of a Unix socket, or the process that connected to it. */
static void
add_unix_address(struct line *line, const char *name, const struct address *address)
{
	char text[ADDRESS_TEXT_MAX];
	const struct address_process *process = &address->process;
	const char *path = address_unix_path(address);
	if (path == NULL && address->length <= sizeof(sa_family_t)) {
		add(line, "\"%s\":{\"pid\":%u,\"uid\":%u,\"gid\":%u}", name,
		    process->pid, process->uid, process->gid);
		return;
	}
	address_format(address, text);
	const char *value = strchr(text, ':') + 1;
	add(line, "\"%s\":{\"unix\":\"", name);
	add_escaped(line, value, strlen(value));
	add(line, "\"}");
}

static void
add_address(struct line *line, const char *name, const struct address *address)
{
	char text[ADDRESS_TEXT_MAX];
	struct address_compact compact;
	if (address->length > 0 && address_is_unix(address)) {
		add_unix_address(line, name, address);
		return;
	}
	/* The kernel does not tell the address of a connection that was reset. */
	bool is_known = address->storage.ss_family == AF_INET ||
	    address->storage.ss_family == AF_INET6;
	if (address->length == 0 || !is_known) {
		add(line, "\"%s\":null", name);
		return;
	}
	/* Without the interface of a link-local address. */
	address_compact(address, &compact);
	address_format_compact(&compact, text);
	char *port = strrchr(text, ':');
	bool has_brackets = text[0] == '[';
	*port = '\0';
	if (has_brackets)
		port[-1] = '\0';
	add(line, "\"%s\":{\"address\":\"%s\",\"port\":%u}", name, text + has_brackets,
	    compact.port);
}

static void
add_flag(struct line *line, const char *name, bool is_set)
{
	add(line, ",\"%s\":%s", name, is_set ? "true" : "false");
}

/* The first TLV of a type. */
static bool
find_tlv(struct proxy_tlvs tlvs, uint8_t type, struct proxy_tlv *ret)
{
	while (proxy_header_next_tlv(&tlvs, ret)) {
		if (ret->type == type)
			return true;
	}
	return false;
}

static void
add_ssl(struct line *line, const struct proxy_tlv *ssl)
{
	static const struct {
		uint8_t type;
		const char *name;
	} texts[] = { { PROXY_TLV_SSL_VERSION, "version" }, { PROXY_TLV_SSL_CN, "cn" },
		{ PROXY_TLV_SSL_CIPHER, "cipher" },
		{ PROXY_TLV_SSL_SIG_ALG, "sig_alg" },
		{ PROXY_TLV_SSL_KEY_ALG, "key_alg" } };
	uint32_t verify = 0;
	for (int i = 1; i < PROXY_SSL_FIXED; i++)
		verify = verify << 8 | ssl->value[i];
	add(line, ",\"ssl\":{\"client\":%u,\"verify\":%u", ssl->value[0], verify);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct proxy_tlv tlv;
		if (find_tlv(proxy_header_ssl_tlvs(ssl), texts[i].type, &tlv))
			add_text(line, texts[i].name, tlv.value, tlv.length);
	}
	add(line, "}");
}

static void
add_tlvs(struct line *line, struct proxy_tlvs tlvs)
{
	static const struct {
		uint8_t type;
		const char *name;
	} texts[] = { { PROXY_TLV_ALPN, "alpn" }, { PROXY_TLV_AUTHORITY, "authority" },
		{ PROXY_TLV_UNIQUE_ID, "unique_id" }, { PROXY_TLV_NETNS, "netns" } };
	enum { TYPES_MAX = 32 };
	struct proxy_tlv tlv;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (find_tlv(tlvs, texts[i].type, &tlv))
			add_text(line, texts[i].name, tlv.value, tlv.length);
	}
	if (find_tlv(tlvs, PROXY_TLV_SSL, &tlv))
		add_ssl(line, &tlv);
	add(line, ",\"tlvs\":[");
	for (int i = 0; i < TYPES_MAX && proxy_header_next_tlv(&tlvs, &tlv); i++)
		add(line, "%s%u", i == 0 ? "" : ",", tlv.type);
	add(line, "]");
}

static void
add_proxy(struct line *line, const struct proxy_header *proxy)
{
	static const char *const families[] = { "UNKNOWN", "TCP4", "TCP6", "UNIX" };
	add(line, ",\"proxy\":{\"version\":%u,\"command\":\"%s\",\"family\":\"%s\"",
	    proxy->version, proxy->is_local ? "LOCAL" : "PROXY",
	    families[proxy->family]);
	if (proxy->family == PROXY_TCP4 || proxy->family == PROXY_TCP6) {
		add(line, ",");
		add_address(line, "source", &proxy->source);
		add(line, ",");
		add_address(line, "destination", &proxy->destination);
	} else if (proxy->family == PROXY_UNIX) {
		const char *path = (const char *)proxy->unix_paths;
		add_text(line, "source_path", path, strnlen(path, PROXY_UNIX_PATH));
		path += PROXY_UNIX_PATH;
		add_text(
		    line, "destination_path", path, strnlen(path, PROXY_UNIX_PATH));
	}
	if (proxy->version == 2)
		add_tlvs(line, proxy->tlvs);
	add(line, "}");
}

static void
add_syn(struct line *line, const struct tcp_syn *syn)
{
	add(line, ",\"syn\":{\"ttl\":%u,\"dscp\":%u,\"ecn\":%u,\"window\":%u", syn->ttl,
	    syn->dscp, syn->ip_ecn, syn->window);
	if (syn->mss != 0)
		add(line, ",\"mss\":%u", syn->mss);
	if (syn->window_scale >= 0)
		add(line, ",\"window_scale\":%d", syn->window_scale);
	add_flag(line, "ece", syn->ece);
	add_flag(line, "cwr", syn->cwr);
	add_flag(line, "sack", syn->sack);
	add_flag(line, "timestamps", syn->timestamps);
	add_flag(line, "fast_open", syn->fast_open);
	add_flag(line, "mptcp", syn->mptcp);
	add(line, ",\"other_options\":[");
	for (int i = 0; i < syn->other_count; i++)
		add(line, "%s%u", i == 0 ? "" : ",", syn->others[i]);
	add(line, "]}");
}

static void
add_tcp(struct line *line, const struct tcp_info_view *tcp)
{
	add(line,
	    ",\"tcp\":{\"rtt_us\":%u,\"rttvar_us\":%u,\"min_rtt_us\":%u,"
	    "\"retransmits\":%u,\"reordering\":%u,\"delivery_rate\":%llu,"
	    "\"snd_mss\":%u,\"rcv_mss\":%u",
	    tcp->rtt_us, tcp->rttvar_us, tcp->min_rtt_us, tcp->retransmits,
	    tcp->reordering, (unsigned long long)tcp->delivery_rate, tcp->snd_mss,
	    tcp->rcv_mss);
	add_flag(line, "timestamps", tcp->timestamps);
	add_flag(line, "sack", tcp->sack);
	add_flag(line, "window_scale", tcp->window_scale);
	add_flag(line, "ecn", tcp->ecn);
	add_flag(line, "fast_open", tcp->fast_open);
	add(line, "}");
}

static void
add_tls(struct line *line, const struct whoami_tls *tls)
{
	const struct {
		const char *name, *text;
	} texts[] = { { "suite", tls->suite }, { "group", tls->group },
		{ "server_name", tls->server_name }, { "alpn", tls->alpn } };
	add(line, ",\"tls\":{\"version\":\"%s\"", tls->version);
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		if (texts[i].text[0] != '\0')
			add_text(
			    line, texts[i].name, texts[i].text, strlen(texts[i].text));
	add_flag(line, "resumed", tls->is_resumed);
	if (tls->subject[0] != '\0') {
		add(line, ",\"client_certificate\":{\"verified\":%s",
		    tls->is_verified ? "true" : "false");
		add_text(line, "subject", tls->subject, strlen(tls->subject));
		add(line, "}");
	}
	add(line, "}");
}

size_t
whoami_write(const struct whoami *whoami, char *out)
{
	struct line line = { .text = out };
	add(&line, "{\"slot\":%u,\"generation\":%u", whoami->slot, whoami->generation);
	add_text(&line, "instance", whoami->instance,
	    strnlen(whoami->instance, WHOAMI_INSTANCE_MAX));
	add(&line,
	    ",\"connection\":{\"number\":%llu,\"slot\":%u,\"generation\":%u,"
	    "\"age_us\":%llu},",
	    (unsigned long long)whoami->connection, whoami->first_slot,
	    whoami->first_generation, (unsigned long long)whoami->age_us);
	add_address(&line, "client", &whoami->client);
	add(&line, ",\"socket\":{");
	add_address(&line, "peer", &whoami->peer);
	add(&line, ",");
	add_address(&line, "local", &whoami->local);
	add(&line, "}");
	if (whoami->incoming_cpu >= 0)
		add(&line, ",\"incoming_cpu\":%d", whoami->incoming_cpu);
	if (whoami->proxy != NULL)
		add_proxy(&line, whoami->proxy);
	if (whoami->syn != NULL)
		add_syn(&line, whoami->syn);
	if (whoami->tcp != NULL)
		add_tcp(&line, whoami->tcp);
	if (whoami->has_mptcp)
		add(&line, ",\"mptcp\":{\"fallback\":%s,\"subflows\":%u}",
		    whoami->subflows == 0 ? "true" : "false", whoami->subflows);
	if (whoami->tls != NULL)
		add_tls(&line, whoami->tls);
	add(&line, "}");
	return line.length;
}
