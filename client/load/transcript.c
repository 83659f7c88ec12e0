#include "client/load/transcript.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/escape.h"
#include "lib/log.h"
#include "net/address.h"
#include "net/connect.h"
#include "client/messages/notation.h"

#define TEXT_MAX 512 /* of the data in one line */
#define LINE_BYTES (NOTATION_LINE_MAX + 2 * ADDRESS_TEXT_MAX + 64)
#define FINISH_PATIENCE_MS 10000 /* without progress */

void
transcript_start(struct load_context *ctx, struct transcript *transcript)
{
	if (!ctx->plan->transcript)
		return;
	*transcript = (struct transcript){ .dropped = 0 };
	sink_attach(&transcript->sink, STDOUT_FILENO);
	ctx->transcript = transcript;
}

/* True if some of the queued text was written. */
static bool
write_queued(struct transcript *transcript)
{
	const struct buffer *queued = transcript->queued;
	if (queued == NULL || transcript->has_failed)
		return false;
	long n = sink_write(
	    &transcript->sink, queued->data + queued->start, buffer_length(queued));
	if (n > 0)
		buffer_consume(&transcript->queued, (size_t)n);
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		transcript->has_failed = true;
	return n > 0;
}

void
transcript_finish(struct load_context *ctx)
{
	struct transcript *transcript = ctx->transcript;
	if (transcript == NULL)
		return;
	int saved = errno;
	do
		sink_wait(&transcript->sink, FINISH_PATIENCE_MS);
	while (write_queued(transcript));
	for (size_t i = 0; i < buffer_length(transcript->queued); i++)
		transcript->dropped +=
		    transcript->queued->data[transcript->queued->start + i] == '\n';
	if (transcript->dropped > 0)
		log_warnx(
		    "transcript: %lu lines could not be written", transcript->dropped);
	buffer_release(&transcript->queued);
	sink_close(&transcript->sink);
	ctx->transcript = NULL;
	errno = saved;
}

static void __attribute__((format(printf, 2, 3)))
put_line(struct transcript *transcript, const char *format, ...)
{
	char line[LINE_BYTES];
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	size_t length = (size_t)n < sizeof(line) ? (size_t)n : sizeof(line) - 1;
	if (buffer_length(transcript->queued) + length > TRANSCRIPT_QUEUED_MAX ||
	    buffer_append(&transcript->queued, line, length) < 0)
		transcript->dropped++;
	write_queued(transcript);
}

/* A transcript in the notation of one conversation has other lines as comments. */
static const char *
comment_of(const struct load_context *ctx)
{
	return ctx->plan->conversation_file != NULL && ctx->plan->connections == 1
	    ? "# "
	    : "";
}

void
transcript_event(
    const struct load_context *ctx, const struct conn *conn, const char *event)
{
	char local[ADDRESS_TEXT_MAX];
	if (ctx->transcript == NULL)
		return;
	put_line(ctx->transcript, "%s%s: %s\n", comment_of(ctx),
	    address_format_local(conn->stream.fd, local), event);
}

/* As lines of a conversation file. With a single connection they are one: what else
 * happens is a comment. */
static void
write_lines(const struct load_context *ctx, const struct conn *conn,
    enum conversation_role speaker, const uint8_t *data, size_t length)
{
	enum conversation_ending ending = ctx->plan->conversation.ending;
	char local[ADDRESS_TEXT_MAX], line[NOTATION_LINE_MAX];
	address_format_local(conn->stream.fd, local);
	while (length > 0) {
		size_t used = notation_line(speaker, ending, data, length, line);
		data += used;
		length -= used;
		if (ctx->plan->connections == 1)
			put_line(ctx->transcript, "%s\n", line);
		else
			put_line(ctx->transcript, "%s: %s\n", local, line);
	}
}

void
transcript_write_data(const struct load_context *ctx, const struct conn *conn,
    enum conversation_role speaker, const uint8_t *data, size_t length)
{
	char text[TEXT_MAX], line[TEXT_MAX + 32];
	if (ctx->transcript == NULL)
		return;
	if (ctx->plan->conversation_file != NULL) {
		write_lines(ctx, conn, speaker, data, length);
		return;
	}
	const char *event = speaker == CONVERSATION_CLIENT ? "sending" : "received";
	snprintf(line, sizeof(line), "%s \"%s\"", event,
	    escape_encode(data, length, text, sizeof(text)));
	transcript_event(ctx, conn, line);
}

void
transcript_connected(const struct load_context *ctx, const struct conn *conn)
{
	char peer[ADDRESS_TEXT_MAX], line[ADDRESS_TEXT_MAX + 32];
	struct address remote = { .length = sizeof(remote.storage) };
	struct sockaddr *to = (struct sockaddr *)&remote.storage;
	if (ctx->transcript == NULL ||
	    getpeername(conn->stream.fd, to, &remote.length) < 0)
		return;
	snprintf(line, sizeof(line), "connected to %s", address_format(&remote, peer));
	transcript_event(ctx, conn, line);
}

void
transcript_connect_failed(const struct load_context *ctx, const struct conn *conn,
    const struct address *address, int error)
{
	char remote[ADDRESS_TEXT_MAX];
	if (ctx->transcript == NULL)
		return;
	put_line(ctx->transcript, "%sconnection %llu: %s: %s\n", comment_of(ctx),
	    (unsigned long long)conn_state_number(ctx, conn),
	    address_format(address, remote), connect_error_text(address, error));
}
