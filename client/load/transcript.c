#include "client/load/transcript.h"

#include <sys/socket.h>

#include <string.h>

#include "lib/escape.h"

#include "net/address.h"

#include "client/measure/timestamps.h"

#define TEXT_MAX 512 /* of the data in one line */

/* "LOCAL ADDRESS: EVENT DETAIL" */
static void
write_line(const struct load_context *ctx, const struct conn *conn, const char *event,
    const char *detail)
{
	char name[ADDRESS_TEXT_MAX];

	fprintf(ctx->transcript, "%s: %s%s\n",
	    timestamps_local_address(conn->stream.fd, name), event, detail);
	fflush(ctx->transcript);
}

static void
write_data(const struct load_context *ctx, const struct conn *conn, const char *event,
    const uint8_t *data, size_t length)
{
	char text[TEXT_MAX], quoted[TEXT_MAX + 8];

	if (ctx->transcript == NULL)
		return;
	snprintf(quoted, sizeof(quoted), " \"%s\"",
	    escape_encode(data, length, text, sizeof(text)));
	write_line(ctx, conn, event, quoted);
}

void
transcript_connected(const struct load_context *ctx, const struct conn *conn)
{
	char peer[ADDRESS_TEXT_MAX];
	struct address remote = { .length = sizeof(remote.storage) };

	if (ctx->transcript != NULL &&
	    getpeername(conn->stream.fd, (struct sockaddr *)&remote.storage,
		&remote.length) == 0)
		write_line(ctx, conn, "connected to ", address_format(&remote, peer));
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

void
transcript_sent(const struct load_context *ctx, const struct conn *conn,
    const uint8_t *data, size_t length)
{
	write_data(ctx, conn, "sending", data, length);
}

void
transcript_received(const struct load_context *ctx, const struct conn *conn,
    const uint8_t *data, size_t length)
{
	write_data(ctx, conn, "received", data, length);
}

void
transcript_lost(
    const struct load_context *ctx, const struct conn *conn, enum message_loss loss)
{
	static const char *const texts[] = {
		[MESSAGE_LOSS_TIMEOUT] = "no answer in time",
		[MESSAGE_LOSS_RESET] = "reset by the peer",
		[MESSAGE_LOSS_CLOSED] = "closed by the peer",
	};

	if (ctx->transcript != NULL)
		write_line(ctx, conn, texts[loss], "");
}

void
transcript_closing(const struct load_context *ctx, const struct conn *conn)
{
	if (ctx->transcript != NULL)
		write_line(ctx, conn, "closing", "");
}
