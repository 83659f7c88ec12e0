#include "http/http_response.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

/* HEAD has the headers of GET without its body (RFC 9110, 9.3.2). libevent would send
 * the body, which the client would read as the next response. */
static void
remove_body(struct evhttp_request *request, struct evbuffer *body)
{
	char length[32];
	size_t bytes = evbuffer_get_length(body);
	snprintf(length, sizeof(length), "%zu", bytes);
	evhttp_add_header(
	    evhttp_request_get_output_headers(request), "Content-Length", length);
	evbuffer_drain(body, bytes);
}

void
http_response_send(
    struct evhttp_request *request, int code, const char *type, char *text)
{
	struct evbuffer *body = evbuffer_new();
	if (text == NULL || body == NULL) {
		evhttp_send_error(request, HTTP_SERVUNAVAIL, "out of memory");
	} else {
		struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
		evhttp_add_header(headers, "Content-Type", type);
		evhttp_add_header(headers, "Cache-Control", "no-store");
		evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
		size_t length = strlen(text);
		evbuffer_add(body, text, length);
		if (length == 0 || text[length - 1] != '\n')
			evbuffer_add(body, "\n", 1);
		if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
			remove_body(request, body);
		evhttp_send_reply(request, code, NULL, body);
	}
	if (body != NULL)
		evbuffer_free(body);
	free(text);
}

void
http_response_send_bad_method(
    struct evhttp_request *request, const char *allow, const char *type, char *text)
{
	evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", allow);
	http_response_send(request, HTTP_BADMETHOD, type, text);
}
