#include "client/load/transcript.h"

#include <sys/socket.h>

#include <string.h>

#include "lib/escape.h"
#include "net/address.h"

#define TEXT_MAX 512 /* of the data in one line */

void
transcript_event(
    const struct load_context *ctx, const struct conn *conn, const char *event)
{
	char local[ADDRESS_TEXT_MAX];
	if (ctx->transcript == NULL)
		return;
	fprintf(ctx->transcript, "%s: %s\n",
	    address_format_local(conn->stream.fd, local), event);
	fflush(ctx->transcript);
}

void
transcript_data(const struct load_context *ctx, const struct conn *conn,
    const char *event, const uint8_t *data, size_t length)
{
	char text[TEXT_MAX], line[TEXT_MAX + 32];
	if (ctx->transcript == NULL)
		return;
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
    const char *target, int error)
{
	if (ctx->transcript == NULL)
		return;
	fprintf(ctx->transcript, "connection %llu: %s: %s\n",
	    (unsigned long long)conn_state_number(ctx, conn), target, strerror(error));
	fflush(ctx->transcript);
}
