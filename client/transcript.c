#include "client/transcript.h"

#include <sys/socket.h>

#include <stdio.h>
#include <string.h>

#include "lib/escape.h"

#include "net/address.h"

#include "client/generator.h"
#include "client/sighting.h"

#define TEXT_MAX 512 /* of what was sent or received, on one line */

static bool
is_silent(const struct generator *generator)
{
	return !generator->plan->transcript;
}

static void
say(const struct caller *caller, const char *what, const uint8_t *data, size_t length)
{
	char name[ADDRESS_TEXT_MAX], text[TEXT_MAX];

	printf("%s: %s \"%s\"\n", sighting_local(caller->fd, name), what,
	    escape_encode(data, length, text, sizeof(text)));
	fflush(stdout);
}

void
transcript_connected(const struct generator *generator, const struct caller *caller)
{
	char name[ADDRESS_TEXT_MAX], peer[ADDRESS_TEXT_MAX];
	struct address remote = { .length = sizeof(remote.storage) };

	if (is_silent(generator))
		return;
	if (getpeername(
		caller->fd, (struct sockaddr *)&remote.storage, &remote.length) < 0)
		return;
	printf("%s: connected to %s\n", sighting_local(caller->fd, name),
	    address_format(&remote, peer));
	fflush(stdout);
}

void
transcript_failed(const struct generator *generator, const struct caller *caller,
    const char *target, int error)
{
	if (is_silent(generator))
		return;
	printf("connection %llu: %s: %s\n",
	    (unsigned long long)generator_connection(generator, caller), target,
	    strerror(error));
	fflush(stdout);
}

void
transcript_sent(const struct generator *generator, const struct caller *caller,
    const uint8_t *data, size_t length)
{
	if (!is_silent(generator))
		say(caller, "sending", data, length);
}

void
transcript_received(const struct generator *generator, const struct caller *caller,
    const uint8_t *data, size_t length)
{
	if (!is_silent(generator))
		say(caller, "received", data, length);
}

void
transcript_lost(const struct generator *generator, const struct caller *caller,
    enum tally_loss loss)
{
	static const char *const words[] = {
		[TALLY_LOST_TIMEOUT] = "no answer in time",
		[TALLY_LOST_RESET] = "reset by the peer",
		[TALLY_LOST_CLOSED] = "closed by the peer",
	};
	char name[ADDRESS_TEXT_MAX];

	if (is_silent(generator))
		return;
	printf("%s: %s\n", sighting_local(caller->fd, name), words[loss]);
	fflush(stdout);
}

void
transcript_closing(const struct generator *generator, const struct caller *caller)
{
	char name[ADDRESS_TEXT_MAX];

	if (is_silent(generator))
		return;
	printf("%s: closing\n", sighting_local(caller->fd, name));
	fflush(stdout);
}
