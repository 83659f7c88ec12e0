#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>

#include "lib/json/json_load.h"
#include "lib/json/json_record.h"
#include "proto/witness/witness.h"
#include "proto/witness/witness_hex.h"

static const struct json_record_field greeting_fields[] = {
	JSON_RECORD(struct witness_greeting, idle_ms, JSON_RECORD_OWN),
	JSON_RECORD(struct witness_greeting, open, JSON_RECORD_OWN),
	JSON_RECORD(struct witness_greeting, accepted, JSON_RECORD_OWN),
	{ .name = NULL },
};

static const struct json_record_field view_fields[] = {
	JSON_RECORD(struct witness_view, slot, JSON_RECORD_OWN),
	JSON_RECORD(struct witness_view, generation, JSON_RECORD_OWN),
	{ .name = NULL },
};

static const struct json_record_field whoami_tcp_fields[] = {
	JSON_RECORD(struct tcp_info_view, rtt_us, JSON_RECORD_OWN),
	JSON_RECORD(struct tcp_info_view, rttvar_us, JSON_RECORD_OWN),
	JSON_RECORD(struct tcp_info_view, min_rtt_us, JSON_RECORD_OWN),
	JSON_RECORD(struct tcp_info_view, retransmits, JSON_RECORD_OWN),
	JSON_RECORD(struct tcp_info_view, reordering, JSON_RECORD_OWN),
	JSON_RECORD(struct tcp_info_view, snd_mss, JSON_RECORD_OWN),
	JSON_RECORD(struct tcp_info_view, rcv_mss, JSON_RECORD_OWN),
	JSON_RECORD(struct tcp_info_view, delivery_rate, JSON_RECORD_OWN),
	JSON_RECORD(struct tcp_info_view, timestamps, JSON_RECORD_OWN),
	JSON_RECORD(struct tcp_info_view, sack, JSON_RECORD_OWN),
	JSON_RECORD(struct tcp_info_view, window_scale, JSON_RECORD_OWN),
	JSON_RECORD(struct tcp_info_view, ecn, JSON_RECORD_OWN),
	JSON_RECORD(struct tcp_info_view, fast_open, JSON_RECORD_OWN),
	{ .name = NULL },
};

static const struct json_record_field tcp_fields[] = {
#define X(type, member) JSON_RECORD(struct tcp_info_view, member, JSON_RECORD_OWN),
	TCP_INFO_FIELDS(X)
#undef X
	    { .name = NULL },
};

static const struct json_record_field record_fields[] = {
	JSON_RECORD(struct witness_record, slot, JSON_RECORD_OWN),
	JSON_RECORD(struct witness_record, generation, JSON_RECORD_OWN),
	JSON_RECORD_AS("open", struct witness_record, is_open, JSON_RECORD_OWN),
	JSON_RECORD(struct witness_record, age_us, JSON_RECORD_OWN),
	JSON_RECORD(struct witness_record, received, JSON_RECORD_OWN),
	JSON_RECORD(struct witness_record, unread, JSON_RECORD_OWN),
	JSON_RECORD(struct witness_record, sent, JSON_RECORD_OWN),
	JSON_RECORD(struct witness_record, unsent, JSON_RECORD_OWN),
	JSON_RECORD(struct witness_record, tcp_at_us, JSON_RECORD_OWN),
	{ .name = NULL },
};

static const struct json_record_field event_fields[] = {
	JSON_RECORD(struct witness_event, at_us, JSON_RECORD_OWN),
	JSON_RECORD(struct witness_event, received, JSON_RECORD_OWN),
	JSON_RECORD(struct witness_event, sent, JSON_RECORD_OWN),
	{ .name = NULL },
};

/* A text member, "" if it is missing. False if it is longer than `max`. */
static bool
get_text(const json_t *from, const char *key, size_t max, const char **ret)
{
	const json_t *value = json_object_get(from, key);
	*ret = json_is_string(value) ? json_string_value(value) : "";
	return json_string_length(value) <= max &&
	    strlen(*ret) == json_string_length(value);
}

static bool
get_id(const json_t *from, struct witness_id *ret)
{
	const char *text;
	return get_text(from, "id", WITNESS_ID_TEXT - 1, &text) &&
	    witness_id_parse(text, strlen(text), ret);
}

static bool
get_instance(const json_t *from, char ret[WHOAMI_INSTANCE_MAX + 1])
{
	const char *text;
	if (!get_text(from, "instance", WHOAMI_INSTANCE_MAX, &text))
		return false;
	for (const char *at = text; *at != '\0'; at++) {
		if (*at <= ' ' || *at >= 0x7f)
			return false;
	}
	memcpy(ret, text, strlen(text) + 1);
	return true;
}

/* A member {"address", "port"}; unchanged if it is null, missing, or of a Unix socket.
 */
static bool
get_address(const json_t *from, const char *key, struct address_compact *ret)
{
	const json_t *value = json_object_get(from, key);
	const json_t *port = json_object_get(value, "port");
	const char *text;
	if (json_object_get(value, "address") == NULL)
		return true;
	if (!get_text(value, "address", INET6_ADDRSTRLEN, &text) ||
	    json_integer_value(port) < 0 || json_integer_value(port) > UINT16_MAX)
		return false;
	ret->family = strchr(text, ':') != NULL ? AF_INET6 : AF_INET;
	ret->port = (uint16_t)json_integer_value(port);
	return inet_pton(ret->family, text, ret->bytes) == 1;
}

/* Bytes in hex, at most `max` of them. */
static bool
get_hex(
    const json_t *from, const char *key, size_t max, uint8_t *ret, size_t *ret_count)
{
	const char *text;
	if (!get_text(from, key, 2 * max, &text))
		return false;
	*ret_count = witness_hex_decode(text, strlen(text), ret);
	return *ret_count > 0 || *text == '\0';
}

static bool
read_all(const struct json_record_field *fields, const json_t *from, void *ret)
{
	char error[128];
	struct json_reader reader = { .error = error, .error_size = sizeof(error) };
	json_record_read(fields, &reader, from, "", ret);
	return !reader.failed;
}

static bool
read_greeting(const json_t *from, struct witness_view *ret)
{
	const json_t *tcp = json_object_get(from, "tcp");
	const json_t *proxy = json_object_get(from, "proxy");
	const json_t *socket = json_object_get(from, "socket");
	const char *command;
	struct witness_greeting *greeting = &ret->greeting;
	if (json_integer_value(json_object_get(from, "yodel_witness")) !=
		WITNESS_VERSION ||
	    !get_id(from, &greeting->id) || !get_instance(from, ret->instance) ||
	    !get_hex(from, "syn_headers", sizeof(greeting->syn_headers),
		greeting->syn_headers, &greeting->syn_bytes) ||
	    !get_text(proxy, "command", sizeof("LOCAL") - 1, &command))
		return false;
	ret->has_syn =
	    tcp_syn_decode(greeting->syn_headers, greeting->syn_bytes, &ret->syn);
	ret->has_tcp = json_is_object(tcp);
	ret->has_header =
	    strcmp(command, "PROXY") == 0 && json_object_get(proxy, "source") != NULL;
	return read_all(greeting_fields, from, greeting) &&
	    read_all(view_fields, from, ret) &&
	    read_all(whoami_tcp_fields, tcp, &ret->tcp) &&
	    get_address(from, "client", &ret->client) &&
	    get_address(socket, "peer", &ret->peer) &&
	    get_address(socket, "local", &ret->local);
}

uint32_t
witness_greeting_version(const char *line, size_t length)
{
	json_t *json = json_load_text(line, length, 0, NULL);
	json_int_t version = json_integer_value(json_object_get(json, "yodel_witness"));
	json_decref(json);
	return version > 0 && version <= UINT32_MAX ? (uint32_t)version : 0;
}

bool
witness_greeting_read(const char *line, size_t length, struct witness_view *ret)
{
	struct witness_view view = { .has_syn = false };
	json_t *json = json_load_text(line, length, 0, NULL);
	bool is_read = json_is_object(json) && read_greeting(json, &view);
	json_decref(json);
	if (is_read)
		*ret = view;
	return is_read;
}

/* The row of a name, or `count`. */
static uint32_t
find_name(const char *const *names, uint32_t count, const char *name)
{
	uint32_t i = 0;
	while (i < count && strcmp(names[i], name) != 0)
		i++;
	return i;
}

static bool
read_event(const json_t *from, struct witness_event *ret)
{
	const char *name;
	if (!get_text(from, "event", WITNESS_LINE_MAX, &name))
		return false;
	ret->kind = find_name(witness_event_names, WITNESS_EVENT_KIND_COUNT, name);
	return ret->kind < WITNESS_EVENT_KIND_COUNT &&
	    read_all(event_fields, from, ret);
}

static bool
read_events(const json_t *from, struct witness_record *ret)
{
	size_t i;
	const json_t *one;
	if (json_array_size(from) > WITNESS_EVENTS_MAX)
		return false;
	json_array_foreach(from, i, one)
	{
		if (!read_event(one, &ret->events[i]))
			return false;
	}
	ret->event_count = (uint32_t)json_array_size(from);
	return true;
}

static bool
read_tcp(const json_t *from, struct witness_record *ret)
{
	const char *state;
	if (!json_is_object(from))
		return true;
	ret->has_tcp = true;
	if (!get_text(from, "state", WITNESS_LINE_MAX, &state))
		return false;
	ret->tcp.state = witness_tcp_state_of(state);
	return read_all(tcp_fields, from, &ret->tcp);
}

static bool
read_reason(const json_t *from, struct witness_record *ret)
{
	const char *name;
	if (!get_text(from, "closed", WITNESS_LINE_MAX, &name))
		return false;
	uint8_t reason = 0;
	while (reason < CLOSE_REASON_COUNT &&
	    strcmp(close_reasons[reason].name, name) != 0)
		reason++;
	/* A newer server may have others. */
	ret->reason = reason;
	return true;
}

static bool
read_sums(const json_t *from, struct witness_record *ret)
{
	const json_t *before = json_object_get(from, "before");
	json_int_t before_bytes = json_integer_value(json_object_get(before, "bytes"));
	const char *crc;
	char *end;
	size_t kept;
	if (!get_text(from, "crc32", 8, &crc) || before_bytes < 0 ||
	    before_bytes > UINT32_MAX ||
	    !get_hex(before, "hex", sizeof(ret->before), ret->before, &kept))
		return false;
	ret->crc32 = (uint32_t)strtoul(crc, &end, 16);
	ret->before_bytes = (uint32_t)before_bytes;
	return *end == '\0' && kept <= ret->before_bytes;
}

static bool
read_record(const json_t *from, struct witness_answer *ret)
{
	struct witness_record *record = &ret->record;
	return get_id(from, &record->id) && get_instance(from, ret->instance) &&
	    read_all(record_fields, from, record) && read_reason(from, record) &&
	    read_sums(from, record) && read_tcp(json_object_get(from, "tcp"), record) &&
	    read_events(json_object_get(from, "events"), record);
}

static bool
read_answer(const json_t *from, struct witness_answer *ret)
{
	const char *name;
	if (!get_text(from, "answer", WITNESS_LINE_MAX, &name))
		return false;
	uint32_t kind = find_name(witness_command_names, WITNESS_COMMAND_COUNT, name);
	if (kind == WITNESS_COMMAND_COUNT)
		return false;
	const json_t *record = json_object_get(from, "record");
	ret->kind = (enum witness_command_kind)kind;
	ret->has_record = !json_is_null(record);
	return !ret->has_record || read_record(record, ret);
}

bool
witness_answer_read(const char *line, size_t length, struct witness_answer *ret)
{
	struct witness_answer answer = { .has_record = false };
	json_t *json = json_load_text(line, length, 0, NULL);
	bool is_read = json_is_object(json) && read_answer(json, &answer);
	json_decref(json);
	if (is_read)
		*ret = answer;
	return is_read;
}
