/*
 * Lines of the protocol of a witness, of any origin. A command that is accepted is
 * written as it was read; a greeting or an answer that is accepted holds what its
 * reader promises; a record that is written again is read as the same.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/witness/witness.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_command(const char *line, size_t length)
{
	struct witness_command command, again;
	char out[WITNESS_LINE_MAX];
	if (!witness_command_parse(line, length, &command))
		return;
	must(command.wait_ms <= WITNESS_WAIT_MAX_MS);
	must(command.bytes <= WITNESS_BYTES_MAX);
	size_t written = witness_command_format(&command, out);
	must(written > 1 && out[written - 1] == '\n');
	must(witness_command_parse(out, written - 1, &again));
	must(again.kind == command.kind && again.wait_ms == command.wait_ms &&
	    again.bytes == command.bytes &&
	    memcmp(&again.id, &command.id, sizeof(again.id)) == 0);
}

static void
check_name(const char *name)
{
	for (size_t i = 0; name[i] != '\0'; i++)
		must(i < WHOAMI_INSTANCE_MAX && name[i] > ' ' && name[i] < 0x7f);
}

static void
check_greeting(const char *line, size_t length)
{
	static struct witness_view view;
	memset(&view, 0, sizeof(view));
	if (!witness_greeting_read(line, length, &view))
		return;
	check_name(view.instance);
	must(view.greeting.syn_bytes <= TCP_SYN_MAX);
	must(!view.has_syn || view.greeting.syn_bytes > 0);
	must(view.client.family == 0 || view.client.family == AF_INET ||
	    view.client.family == AF_INET6);
}

static void
check_record(const struct witness_answer *answer)
{
	static struct witness_answer again;
	static char line[WITNESS_ANSWER_MAX];
	const struct witness_record *record = &answer->record;
	check_name(answer->instance);
	must(record->event_count <= WITNESS_EVENTS_MAX);
	for (uint32_t i = 0; i < record->event_count; i++)
		must(record->events[i].kind < WITNESS_EVENT_KIND_COUNT);
	must(record->is_open || record->reason <= CLOSE_REASON_COUNT);
	if (!record->is_open && record->reason == CLOSE_REASON_COUNT)
		return;
	size_t length =
	    witness_answer_write(answer->kind, record, answer->instance, line);
	must(witness_answer_read(line, length, &again));
	must(again.record.received == record->received &&
	    again.record.crc32 == record->crc32 &&
	    again.record.before_bytes == record->before_bytes &&
	    again.record.event_count == record->event_count &&
	    again.record.has_tcp == record->has_tcp);
}

static void
check_answer(const char *line, size_t length)
{
	static struct witness_answer answer;
	memset(&answer, 0, sizeof(answer));
	if (!witness_answer_read(line, length, &answer))
		return;
	must(answer.kind < WITNESS_COMMAND_COUNT);
	if (answer.has_record)
		check_record(&answer);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *line = malloc(size > 0 ? size : 1);
	must(line != NULL);
	if (size > 0)
		memcpy(line, data, size);
	check_command(line, size);
	check_greeting(line, size);
	check_answer(line, size);
	free(line);
	return 0;
}
