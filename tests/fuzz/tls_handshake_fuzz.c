/*
 * Handshakes of both sides with arbitrary bytes. The first byte: 1 is a client, else a
 * server; 2: the bytes come one by one. What comes out is one of the three states, with
 * a printable reason and an alert for a failure; bytes are consumed in order.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/printable.h"
#include "net/tls/tls_handshake.h"
#include "tests/lib/tls_fixture.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct tls_context *server, *client;

static void
start(void)
{
	static const char *const alpn[] = { "echo", "h2" };
	char error[TLS_ERROR_MAX];
	tls_fixture_start();
	const struct tls_name_settings name = { "*.example.net", tls_path("server.pem"),
		tls_path("server.key") };
	const struct tls_settings settings = { .certificate = tls_path("server.pem"),
		.key = tls_path("server.key"),
		.ca = tls_path("ca.pem"),
		.verify = TLS_VERIFY_OPTIONAL,
		.alpn = alpn,
		.alpn_count = 2,
		.names = &name,
		.name_count = 1,
		.has_tickets = true };
	const struct tls_settings client_settings = { .ca = tls_path("ca.pem"),
		.verify = TLS_VERIFY_REQUIRE,
		.alpn = alpn,
		.alpn_count = 1,
		.has_tickets = true };
	server = tls_context_create_server(&settings, error);
	client = tls_context_create_client(&client_settings, error);
	must(server != NULL && client != NULL);
	tls_fixture_finish();
}

static void
check_failure(const struct tls_handshake *handshake)
{
	struct tls_failure_facts facts;
	char copy[TLS_ERROR_MAX];
	tls_handshake_failure(handshake, &facts);
	must(facts.kind > TLS_FAILURE_NONE && facts.kind < TLS_FAILURE_COUNT);
	must(facts.reason[0] != '\0' && strlen(facts.reason) < sizeof(copy));
	strcpy(copy, facts.reason);
	must(strcmp(printable_sanitize(copy), facts.reason) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct tls_client_options options = { .name = "example.org",
		.keeps_ticket = true };
	enum tls_handshake_status status = TLS_HANDSHAKE_WANT_MORE;
	struct buffer *output = NULL;
	size_t consumed;
	if (server == NULL)
		start();
	if (size == 0)
		return 0;
	bool is_client = (data[0] & 1) != 0, is_slow = (data[0] & 2) != 0;
	struct tls_handshake *handshake = is_client
	    ? tls_handshake_create_client(client, &options)
	    : tls_handshake_create_server(server);
	must(handshake != NULL);
	if (is_client)
		must(tls_handshake_step(handshake, NULL, 0, &output, &consumed) ==
			TLS_HANDSHAKE_WANT_MORE &&
		    buffer_length(output) > 0);
	for (data++, size--; size > 0 && status == TLS_HANDSHAKE_WANT_MORE;) {
		size_t part = is_slow ? 1 : size;
		status = tls_handshake_step(handshake, data, part, &output, &consumed);
		must(consumed <= part);
		must(status != TLS_HANDSHAKE_WANT_MORE || consumed == part);
		data += part;
		size -= part;
	}
	/* No input can contain the peer's part of a key exchange. */
	must(status != TLS_HANDSHAKE_DONE);
	if (status == TLS_HANDSHAKE_WANT_MORE)
		tls_handshake_cut(handshake, 0);
	check_failure(handshake);
	tls_handshake_destroy(handshake);
	buffer_release(&output);
	return 0;
}
