#include "client/commands/recording.h"

#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/xmalloc.h"
#include "client/messages/notation.h"

/* Bytes that one side said before the other one did, or an action. */
struct recording_run {
	enum conversation_role speaker;
	const char *action; /* NULL: bytes */
	size_t length;
};

int
recording_open(struct recording *recording, const char *path)
{
	*recording = (struct recording){ .path = path };
	if (path == NULL)
		return 0;
	recording->file = fopen(path, "we");
	if (recording->file != NULL)
		return 0;
	log_error("cannot write %s", path);
	return -1;
}

static struct recording_run *
add_run(struct recording *recording)
{
	recording->runs = xreallocarray(
	    recording->runs, recording->run_count + 1, sizeof(recording->runs[0]));
	struct recording_run *run = &recording->runs[recording->run_count++];
	*run = (struct recording_run){ .action = NULL };
	return run;
}

void
recording_add(struct recording *recording, enum conversation_role speaker,
    const uint8_t *data, size_t length)
{
	struct recording_run *last = recording->run_count > 0
	    ? &recording->runs[recording->run_count - 1]
	    : NULL;
	if (recording->path == NULL || length == 0)
		return;
	if (last == NULL || last->action != NULL || last->speaker != speaker) {
		last = add_run(recording);
		last->speaker = speaker;
	}
	last->length += length;
	if (buffer_append(&recording->bytes, data, length) < 0)
		xmalloc_fail();
}

void
recording_action(struct recording *recording, const char *action)
{
	if (recording->path != NULL)
		add_run(recording)->action = action;
}

/* The line end that most lines have; none if there is no line end at all. */
static enum conversation_ending
ending_of(const struct recording *recording)
{
	size_t length = buffer_length(recording->bytes), crlf = 0, lf = 0;
	const uint8_t *bytes =
	    length > 0 ? recording->bytes->data + recording->bytes->start : NULL;
	for (size_t i = 0; i < length; i++) {
		if (bytes[i] != '\n')
			continue;
		if (i > 0 && bytes[i - 1] == '\r')
			crlf++;
		else
			lf++;
	}
	if (crlf + lf == 0)
		return CONVERSATION_NO_ENDING;
	return crlf >= lf ? CONVERSATION_CRLF : CONVERSATION_LF;
}

static void
write_runs(const struct recording *recording, enum conversation_ending ending, FILE *to)
{
	size_t at = recording->bytes != NULL ? recording->bytes->start : 0;
	char line[NOTATION_LINE_MAX];
	for (size_t i = 0; i < recording->run_count; i++) {
		const struct recording_run *run = &recording->runs[i];
		if (run->action != NULL)
			fprintf(to, "%s\n", run->action);
		for (size_t left = run->length; left > 0;) {
			size_t n = notation_line(run->speaker, ending,
			    recording->bytes->data + at, left, line);
			fprintf(to, "%s\n", line);
			at += n;
			left -= n;
		}
	}
}

/* The whole file; heap, freed by the caller. */
static char *
format(const struct recording *recording, const char *target, size_t *ret_length)
{
	static const char *const names[] = {
		[CONVERSATION_CRLF] = "crlf",
		[CONVERSATION_LF] = "lf",
		[CONVERSATION_NO_ENDING] = "none",
	};
	enum conversation_ending ending = ending_of(recording);
	char *text = NULL;
	FILE *to = xmalloc_check(open_memstream(&text, ret_length));
	fprintf(to, "# Recorded by yodel talk from %s.\nending %s\n\n", target,
	    names[ending]);
	write_runs(recording, ending, to);
	if (fclose(to) != 0)
		xmalloc_fail();
	return text;
}

static int
write_file(struct recording *recording, const char *text, size_t length)
{
	size_t written = fwrite(text, 1, length, recording->file);
	if (fclose(recording->file) == 0 && written == length)
		return 0;
	log_error("cannot write %s", recording->path);
	return -1;
}

static int
check(const struct recording *recording, const char *text, size_t length)
{
	struct conversation conversation = { 0 };
	char error[CONVERSATION_ERROR_MAX];
	int status =
	    conversation_compile(recording->path, text, length, &conversation, error);
	conversation_finish(&conversation);
	if (status == 0)
		return 0;
	log_errorx("the recorded conversation must be edited: %s", error);
	return -1;
}

int
recording_close(struct recording *recording, const char *target)
{
	size_t length;
	if (recording->path == NULL)
		return 0;
	char *text = format(recording, target, &length);
	int rc = write_file(recording, text, length);
	if (rc == 0)
		rc = check(recording, text, length);
	free(text);
	free(recording->runs);
	buffer_release(&recording->bytes);
	*recording = (struct recording){ .path = NULL };
	return rc;
}
