#include "client/load/transcript.h"

#include <sys/socket.h>

#include <stdio.h>
#include <string.h>

#include "lib/escape.h"

#include "net/address.h"

#include "client/load/generator.h"
#include "client/measure/timestamps.h"

#define TEXT_MAX 512 /* of what was sent or received, on one line */

static bool
is_silent(const struct generator *generator)
{
	return !generator->plan->transcript;
}

static void
say(const struct conn *conn, const char *what, const uint8_t *data, size_t length)
{
	char name[ADDRESS_TEXT_MAX], text[TEXT_MAX];

	printf("%s: %s \"%s\"\n", timestamps_local_address(conn->fd, name), what,
	    escape_encode(data, length, text, sizeof(text)));
	fflush(stdout);
}

void
transcript_connected(const struct generator *generator, const struct conn *conn)
{
	char name[ADDRESS_TEXT_MAX], peer[ADDRESS_TEXT_MAX];
	struct address remote = { .length = sizeof(remote.storage) };

	if (is_silent(generator))
		return;
	if (getpeername(conn->fd, (struct sockaddr *)&remote.storage, &remote.length) <
	    0)
		return;
	printf("%s: connected to %s\n", timestamps_local_address(conn->fd, name),
	    address_format(&remote, peer));
	fflush(stdout);
}

void
transcript_failed(const struct generator *generator, const struct conn *conn,
    const char *target, int error)
{
	if (is_silent(generator))
		return;
	printf("connection %llu: %s: %s\n",
	    (unsigned long long)generator_connection(generator, conn), target,
	    strerror(error));
	fflush(stdout);
}

void
transcript_sent(const struct generator *generator, const struct conn *conn,
    const uint8_t *data, size_t length)
{
	if (!is_silent(generator))
		say(conn, "sending", data, length);
}

void
transcript_received(const struct generator *generator, const struct conn *conn,
    const uint8_t *data, size_t length)
{
	if (!is_silent(generator))
		say(conn, "received", data, length);
}

void
transcript_lost(
    const struct generator *generator, const struct conn *conn, enum message_loss loss)
{
	static const char *const words[] = {
		[MESSAGE_LOSS_TIMEOUT] = "no answer in time",
		[MESSAGE_LOSS_RESET] = "reset by the peer",
		[MESSAGE_LOSS_CLOSED] = "closed by the peer",
	};
	char name[ADDRESS_TEXT_MAX];

	if (is_silent(generator))
		return;
	printf("%s: %s\n", timestamps_local_address(conn->fd, name), words[loss]);
	fflush(stdout);
}

void
transcript_closing(const struct generator *generator, const struct conn *conn)
{
	char name[ADDRESS_TEXT_MAX];

	if (is_silent(generator))
		return;
	printf("%s: closing\n", timestamps_local_address(conn->fd, name));
	fflush(stdout);
}
