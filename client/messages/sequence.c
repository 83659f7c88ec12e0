#include "client/messages/sequence.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/xmalloc.h"
#include "proto/payload.h"

static const struct reply echo = { .kind = REPLY_ECHO };

#define DEFAULT_TEXTS 3
static const char *const default_texts[DEFAULT_TEXTS] = {
	"This is the message. ",
	"It will be sent ",
	"in parts.",
};

/* A message without escapes. */
static void
plain_text(const char *text, size_t length, struct message_template *ret)
{
	*ret = (struct message_template){
		.bytes = xmalloc(length + 1),
		.pieces = xcalloc(1, sizeof(struct message_template_piece)),
		.length = length,
		.count = 1,
	};
	memcpy(ret->bytes, text, length);
	ret->pieces[0].kind = MESSAGE_TEMPLATE_LITERAL;
	ret->pieces[0].length = length;
}

static int
check_text(const struct message_template *text, enum framing framing, char *error)
{
	if (text->length == 0 && !text->varies && !framings[framing].has_boundaries)
		snprintf(error, PLAN_ERROR_MAX,
		    "empty message; --framing stream expects at least one byte");
	else if (framings[framing].is_delimited && text->length > 0 &&
	    memchr(text->bytes, '\n', text->length) != NULL)
		snprintf(error, PLAN_ERROR_MAX,
		    "line end inside a message; --framing line adds the line end itself");
	else if (message_template_longest(text) > PLAN_MESSAGE_MAX)
		snprintf(error, PLAN_ERROR_MAX, "a message is longer than 1G");
	else
		return 0;
	return EX_USAGE;
}

static int
add_text(struct sequence *sequence, const char *text, size_t length,
    const struct plan *plan, char *error)
{
	sequence->texts = xreallocarray(
	    sequence->texts, sequence->count + 1, sizeof(sequence->texts[0]));
	struct message_template *out = &sequence->texts[sequence->count];
	int rc = 0;
	if (plan->escapes)
		rc = message_template_parse(text, length, out, error, PLAN_ERROR_MAX);
	else
		plain_text(text, length, out);
	if (rc != 0)
		return rc;
	sequence->count++;
	rc = check_text(out, sequence->framing, error);
	if (rc != 0)
		return rc;
	size_t longest = message_template_longest(out);
	if (longest > sequence->longest)
		sequence->longest = (uint32_t)longest;
	sequence->varies |= out->varies;
	return 0;
}

static int
fail_read(const struct plan *plan, char *error)
{
	int status = errno == ENOMEM ? EX_OSERR : EX_NOINPUT;
	snprintf(error, PLAN_ERROR_MAX, "%s: %s", plan->file, strerror(errno));
	return status;
}

/* Each line of the file, without its end, is a message. */
static int
read_file(struct sequence *sequence, const struct plan *plan, char *error)
{
	bool is_stdin = strcmp(plan->file, "-") == 0;
	FILE *file = is_stdin ? stdin : fopen(plan->file, "re");
	char *line = NULL;
	size_t size = 0;
	ssize_t n;
	int rc = 0;
	if (file == NULL)
		return fail_read(plan, error);
	while (rc == 0 && (n = getline(&line, &size, file)) >= 0) {
		if (n > 0 && line[n - 1] == '\n')
			n--;
		rc = add_text(sequence, line, (size_t)n, plan, error);
	}
	if (rc == 0 && !feof(file)) { /* ferror() does not report ENOMEM */
		rc = fail_read(plan, error);
	} else if (rc == 0 && sequence->count == 0) {
		snprintf(error, PLAN_ERROR_MAX,
		    "%s: empty file; expected one message per line", plan->file);
		rc = EX_USAGE;
	}
	free(line);
	if (!is_stdin)
		fclose(file);
	return rc;
}

uint8_t **
sequence_make_wires(const struct sequence *sequence, const struct reply *reply)
{
	uint8_t **wires = xcalloc(sequence->count, sizeof(wires[0]));
	for (uint32_t i = 0; i < sequence->count; i++) {
		const struct message_template *text = &sequence->texts[i];
		if (text->varies)
			continue;
		struct frame frame = framing_for_payload(
		    sequence->framing, reply_length(reply, text->length));
		wires[i] = xmalloc(frame_length(&frame) + 1);
		reply_write(reply, text->bytes, text->length, wires[i] + frame.header);
		framing_write(sequence->framing, &frame, wires[i]);
	}
	return wires;
}

void
sequence_free_wires(const struct sequence *sequence, uint8_t **wires)
{
	for (uint32_t i = 0; wires != NULL && i < sequence->count; i++)
		free(wires[i]);
	free(wires);
}

static int
read_texts(struct sequence *sequence, const struct plan *plan, char *error)
{
	const char *const *texts =
	    plan->texts.count > 0 ? plan->texts.items : default_texts;
	uint32_t count = plan->texts.count > 0 ? plan->texts.count : DEFAULT_TEXTS;
	int rc = 0;
	if (plan->file != NULL)
		return read_file(sequence, plan, error);
	for (uint32_t i = 0; i < count && rc == 0; i++)
		rc = add_text(sequence, texts[i], strlen(texts[i]), plan, error);
	return rc;
}

int
sequence_open(const struct plan *plan, struct sequence *ret, char *error)
{
	struct sequence out = {
		.framing = plan->framing,
		.seed = plan->seed,
		.size_min = plan->size_min,
		.size_max = plan->size_max,
	};
	struct frame empty = framing_for_payload(plan->framing, 0);
	if (plan->payload) {
		out.count = 1;
		out.longest = (uint32_t)plan->size_max;
		out.varies = true;
		out.is_uniform = plan->size_min == plan->size_max &&
		    plan->size_min > 0 && frame_length(&empty) == 0;
		*ret = out;
		return 0;
	}
	int rc = read_texts(&out, plan, error);
	if (rc != 0) {
		sequence_close(&out);
		return rc;
	}
	out.wires = sequence_make_wires(&out, &echo);
	*ret = out;
	return 0;
}

void
sequence_close(struct sequence *sequence)
{
	sequence_free_wires(sequence, sequence->wires);
	for (uint32_t i = 0; sequence->texts != NULL && i < sequence->count; i++)
		message_template_finish(&sequence->texts[i]);
	free(sequence->texts);
	*sequence = (struct sequence){ .count = 0 };
}

uint32_t
sequence_payload_length(
    const struct sequence *sequence, uint64_t connection, uint64_t message)
{
	if (sequence->texts == NULL)
		return (uint32_t)payload_size(sequence->seed, connection, message,
		    sequence->size_min, sequence->size_max);
	const struct message_template *text =
	    &sequence->texts[message % sequence->count];
	return (uint32_t)(text->varies
		? message_template_length(text, connection, message)
		: text->length);
}

void
sequence_payload(const struct sequence *sequence, uint64_t connection,
    const struct cursor *cursor, size_t from, size_t length, uint8_t *scratch,
    uint8_t *out)
{
	if (sequence->texts == NULL) {
		payload_fill(sequence->seed, connection, cursor->offset + from,
		    framings[sequence->framing].is_delimited, out, length);
		return;
	}
	const struct message_template *text =
	    &sequence->texts[cursor->message % sequence->count];
	const uint8_t *bytes = text->bytes;
	if (text->varies) {
		message_template_write(text, connection, cursor->message, scratch);
		bytes = scratch;
	}
	memcpy(out, bytes + from, length);
}

uint32_t
sequence_wire_length(
    const struct sequence *sequence, uint64_t connection, uint64_t message)
{
	struct frame frame = framing_for_payload(
	    sequence->framing, sequence_payload_length(sequence, connection, message));
	return (uint32_t)frame_length(&frame);
}

const uint8_t *
sequence_wire(const struct sequence *sequence, uint64_t connection,
    const struct cursor *cursor, size_t *length, uint8_t *scratch, uint8_t *out)
{
	uint32_t left = cursor->length - cursor->at;
	if (*length > left)
		*length = left;
	if (sequence->wires != NULL) {
		const uint8_t *wire =
		    sequence->wires[cursor->message % sequence->count];
		if (wire != NULL)
			return wire + cursor->at;
	}
	const struct framing_ops *ops = &framings[sequence->framing];
	size_t header = ops->header_bytes;
	size_t payload = cursor->length - header - ops->trailer_bytes;
	size_t begin = cursor->at > header ? cursor->at : header;
	size_t end = cursor->at + *length;
	if (end > header + payload)
		end = header + payload;
	if (begin < end)
		sequence_payload(sequence, connection, cursor, begin - header,
		    end - begin, scratch, out + (begin - cursor->at));
	if (header + ops->trailer_bytes > 0)
		framing_write_part(
		    sequence->framing, payload, cursor->at, *length, out);
	return out;
}

void
sequence_seek(const struct sequence *sequence, uint64_t connection,
    struct cursor *cursor, uint64_t message)
{
	if (sequence->texts == NULL && sequence->size_min == sequence->size_max) {
		cursor->offset = message * sequence->size_min;
		cursor->message = message;
	}
	while (cursor->message < message)
		cursor->offset +=
		    sequence_payload_length(sequence, connection, cursor->message++);
	while (cursor->message > message)
		cursor->offset -=
		    sequence_payload_length(sequence, connection, --cursor->message);
	cursor->at = 0;
	cursor->length = 0;
}
