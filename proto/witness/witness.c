#include "proto/witness/witness.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <netinet/tcp.h>

#include "proto/payload.h"
#include "proto/witness/witness_hex.h"

/* The fields that follow the name of a command. */
enum fields { NONE, WAIT, COUNT, WAIT_COUNT, ID };

const char *const witness_command_names[] = {
#define X(id, name, fields, is_answered) #name,
	WITNESS_COMMANDS(X)
#undef X
};

static const enum fields command_fields[] = {
#define X(id, name, fields, is_answered) fields,
	WITNESS_COMMANDS(X)
#undef X
};

const char *const witness_event_names[] = {
#define X(id, name) #name,
	WITNESS_EVENTS(X)
#undef X
};

static const char *const tcp_states[] = {
	[TCP_ESTABLISHED] = "established",
	[TCP_SYN_SENT] = "syn_sent",
	[TCP_SYN_RECV] = "syn_recv",
	[TCP_FIN_WAIT1] = "fin_wait_1",
	[TCP_FIN_WAIT2] = "fin_wait_2",
	[TCP_TIME_WAIT] = "time_wait",
	[TCP_CLOSE] = "closed",
	[TCP_CLOSE_WAIT] = "close_wait",
	[TCP_LAST_ACK] = "last_ack",
	[TCP_LISTEN] = "listen",
	[TCP_CLOSING] = "closing",
};

static const char *
tcp_state_name(uint32_t state)
{
	bool is_known = state < sizeof(tcp_states) / sizeof(tcp_states[0]) &&
	    tcp_states[state] != NULL;
	return is_known ? tcp_states[state] : "unknown";
}

uint32_t
witness_tcp_state_of(const char *name)
{
	uint32_t state = sizeof(tcp_states) / sizeof(tcp_states[0]) - 1;
	while (state > 0 &&
	    (tcp_states[state] == NULL || strcmp(tcp_states[state], name) != 0))
		state--;
	return state;
}

void
witness_id_format(const struct witness_id *id, char out[WITNESS_ID_TEXT])
{
	witness_hex_encode(id->bytes, sizeof(id->bytes), out);
}

bool
witness_id_parse(const char *text, size_t length, struct witness_id *ret)
{
	return length == WITNESS_ID_TEXT - 1 &&
	    witness_hex_decode(text, length, ret->bytes) == WITNESS_ID_BYTES;
}

/* A field of a line: what is left, without the space before it. */
struct rest {
	const char *at, *end;
};

/* Takes " NUMBER". */
static bool
take_number(struct rest *rest, uint32_t max, uint32_t *ret)
{
	uint64_t number = 0;
	const char *at = rest->at;
	if (at == rest->end || *at++ != ' ' || at == rest->end)
		return false;
	const char *first = at;
	for (; at < rest->end && *at >= '0' && *at <= '9'; at++) {
		number = number * 10 + (uint64_t)(*at - '0');
		if (number > max)
			return false;
	}
	rest->at = at;
	*ret = (uint32_t)number;
	return at > first;
}

static bool
take_fields(struct rest *rest, struct witness_command *command)
{
	enum fields fields = command_fields[command->kind];
	if (fields == ID) {
		bool is_id = rest->at < rest->end && *rest->at == ' ' &&
		    witness_id_parse(
			rest->at + 1, (size_t)(rest->end - rest->at - 1), &command->id);
		rest->at = rest->end;
		return is_id;
	}
	if ((fields == WAIT || fields == WAIT_COUNT) &&
	    !take_number(rest, WITNESS_WAIT_MAX_MS, &command->wait_ms))
		return false;
	return (fields != COUNT && fields != WAIT_COUNT) ||
	    take_number(rest, WITNESS_BYTES_MAX, &command->bytes);
}

bool
witness_command_parse(const char *line, size_t length, struct witness_command *ret)
{
	for (int kind = 0; kind < WITNESS_COMMAND_COUNT; kind++) {
		const char *name = witness_command_names[kind];
		size_t name_length = strlen(name);
		struct witness_command command = {
			.kind = (enum witness_command_kind)kind
		};
		struct rest rest = { line + name_length, line + length };
		if (length < name_length || memcmp(line, name, name_length) != 0 ||
		    !take_fields(&rest, &command) || rest.at != rest.end)
			continue;
		*ret = command;
		return true;
	}
	return false;
}

size_t
witness_command_format(
    const struct witness_command *command, char out[WITNESS_LINE_MAX])
{
	const char *name = witness_command_names[command->kind];
	char id[WITNESS_ID_TEXT];
	int n = 0;
	switch (command_fields[command->kind]) {
	case NONE:
		n = snprintf(out, WITNESS_LINE_MAX, "%s\n", name);
		break;
	case WAIT:
		n = snprintf(out, WITNESS_LINE_MAX, "%s %u\n", name, command->wait_ms);
		break;
	case COUNT:
		n = snprintf(out, WITNESS_LINE_MAX, "%s %u\n", name, command->bytes);
		break;
	case WAIT_COUNT:
		n = snprintf(out, WITNESS_LINE_MAX, "%s %u %u\n", name,
		    command->wait_ms, command->bytes);
		break;
	case ID:
		witness_id_format(&command->id, id);
		n = snprintf(out, WITNESS_LINE_MAX, "%s %s\n", name, id);
		break;
	}
	return n > 0 ? (size_t)n : 0;
}

void
witness_fill(uint64_t offset, uint8_t *out, size_t length)
{
	payload_fill(0, 0, offset, false, out, length);
}

#define CRC32_POLYNOMIAL UINT32_C(0xedb88320) /* reflected */

uint32_t
witness_crc32(uint32_t crc, const void *data, size_t length)
{
	static uint32_t table[256];
	const uint8_t *bytes = data;
	for (uint32_t i = 1; table[255] == 0 && i < 256; i++) {
		uint32_t remainder = i;
		for (int bit = 0; bit < 8; bit++)
			remainder = (remainder >> 1) ^
			    ((remainder & 1) != 0 ? CRC32_POLYNOMIAL : 0);
		table[i] = remainder;
	}
	crc = ~crc;
	for (size_t i = 0; i < length; i++)
		crc = table[(crc ^ bytes[i]) & 0xff] ^ (crc >> 8);
	return ~crc;
}

struct text {
	char *out;
	size_t size, length;
};

/* The longest line fits (unit test); a longer one would be cut, not overrun. */
__attribute__((format(printf, 2, 3))) static void
add(struct text *text, const char *format, ...)
{
	size_t room = text->size - text->length;
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(text->out + text->length, room, format, arguments);
	va_end(arguments);
	if (n > 0)
		text->length += (size_t)n < room ? (size_t)n : room - 1;
}

static void
add_count(struct text *text, const char *name, uint64_t number)
{
	add(text, ",\"%s\":%llu", name, (unsigned long long)number);
}

static void
add_bool(struct text *text, const char *name, bool flag)
{
	add(text, ",\"%s\":%s", name, flag ? "true" : "false");
}

static void
add_hex(struct text *text, const char *name, const uint8_t *bytes, size_t length)
{
	char hex[2 * WITNESS_BEFORE_MAX + 1];
	witness_hex_encode(bytes, length, hex);
	add(text, ",\"%s\":\"%s\"", name, hex);
}

size_t
witness_greeting_write(const struct witness_greeting *greeting, const char *whoami,
    size_t length, char out[WITNESS_GREETING_MAX])
{
	struct text text = { .out = out, .size = WITNESS_GREETING_MAX };
	add(&text, "{\"yodel_witness\":%d", WITNESS_VERSION);
	add_hex(&text, "id", greeting->id.bytes, WITNESS_ID_BYTES);
	add_count(&text, "idle_ms", greeting->idle_ms);
	add_count(&text, "open", greeting->open);
	add_count(&text, "accepted", greeting->accepted);
	add_hex(&text, "syn_headers", greeting->syn_headers, greeting->syn_bytes);
	/* Behind its brace. */
	add(&text, ",%.*s\n", (int)length - 1, whoami + 1);
	return text.length;
}

/* By the type of the member. */
#define add_uint32_t add_count
#define add_uint64_t add_count

static void
add_tcp(struct text *text, const struct witness_record *record)
{
	const struct tcp_info_view *tcp = &record->tcp;
	add_count(text, "tcp_at_us", record->tcp_at_us);
	if (!record->has_tcp) {
		add(text, ",\"tcp\":null");
		return;
	}
	add(text, ",\"tcp\":{\"state\":\"%s\"", tcp_state_name(tcp->state));
#define X(type, member) add_##type(text, #member, tcp->member);
	TCP_INFO_FIELDS(X)
#undef X
	add(text, "}");
}

static void
add_events(struct text *text, const struct witness_record *record)
{
	add(text, ",\"events\":[");
	for (uint32_t i = 0; i < record->event_count; i++) {
		const struct witness_event *event = &record->events[i];
		add(text, "%s{\"event\":\"%s\"", i == 0 ? "" : ",",
		    witness_event_names[event->kind]);
		add_count(text, "at_us", event->at_us);
		add_count(text, "received", event->received);
		add_count(text, "sent", event->sent);
		add(text, "}");
	}
	add(text, "]");
}

/* A host name may be any text. */
static void
add_instance(struct text *text, const char *instance)
{
	add(text, ",\"instance\":\"");
	for (const char *at = instance; *at != '\0'; at++) {
		bool is_plain = *at > ' ' && *at < 0x7f && *at != '"' && *at != '\\';
		add(text, "%c", is_plain ? *at : '?');
	}
	add(text, "\"");
}

static void
add_record(struct text *text, const struct witness_record *record, const char *instance)
{
	char id[WITNESS_ID_TEXT];
	uint32_t before_kept = record->before_bytes < WITNESS_BEFORE_MAX
	    ? record->before_bytes
	    : WITNESS_BEFORE_MAX;
	witness_id_format(&record->id, id);
	add(text, "{\"id\":\"%s\"", id);
	add_count(text, "slot", record->slot);
	add_count(text, "generation", record->generation);
	add_instance(text, instance);
	add_bool(text, "open", record->is_open);
	if (record->is_open)
		add(text, ",\"closed\":null");
	else
		add(text, ",\"closed\":\"%s\"", close_reasons[record->reason].name);
	add_count(text, "age_us", record->age_us);
	add_count(text, "received", record->received);
	add_count(text, "unread", record->unread);
	add_count(text, "sent", record->sent);
	add_count(text, "unsent", record->unsent);
	add(text, ",\"crc32\":\"%08x\",\"before\":{\"bytes\":%u", record->crc32,
	    record->before_bytes);
	add_hex(text, "hex", record->before, before_kept);
	add(text, "}");
	add_tcp(text, record);
	add_events(text, record);
	add(text, "}");
}

size_t
witness_answer_write(enum witness_command_kind kind,
    const struct witness_record *record, const char *instance,
    char out[WITNESS_ANSWER_MAX])
{
	struct text text = { .out = out, .size = WITNESS_ANSWER_MAX };
	add(&text, "{\"answer\":\"%s\",\"record\":", witness_command_names[kind]);
	if (record != NULL)
		add_record(&text, record, instance);
	else
		add(&text, "null");
	add(&text, "}\n");
	return text.length;
}
