#include "http/http_policy.h"

#include <sys/queue.h>
#include <sys/random.h>

#include <stddef.h>
#include <stdio.h>

#include <event2/http.h>

#define NONCE_BYTES (HTTP_POLICY_NONCE_MAX / 2)

int
http_policy_make_nonce(char *nonce)
{
	unsigned char bytes[NONCE_BYTES];
	if (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes))
		return -1;
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(nonce + 2 * i, 3, "%02x", bytes[i]);
	return 0;
}

void
http_policy_add(struct evhttp_request *request, const char *nonce)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	char policy[256];
	snprintf(policy, sizeof(policy),
	    "default-src 'none'; style-src 'nonce-%s'; script-src 'nonce-%s'; connect-src 'self'; img-src data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
	    nonce, nonce);
	evhttp_add_header(headers, "Content-Security-Policy", policy);
	evhttp_add_header(headers, "Referrer-Policy", "no-referrer");
}
