#include "master/reply_http.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/buffer.h>

#include "master/stats.h"

/* What would have come, and nothing of it (RFC 9110, 9.3.2): libevent sends the body
 * all the same, and the client takes it for the next answer. */
static void
leave_out(struct evhttp_request *request, struct evbuffer *body)
{
	char length[32];
	size_t bytes = evbuffer_get_length(body);
	snprintf(length, sizeof(length), "%zu", bytes);
	evhttp_add_header(
	    evhttp_request_get_output_headers(request), "Content-Length", length);
	evbuffer_drain(body, bytes);
}

void
reply_http(struct evhttp_request *request, int code, const char *type, char *text)
{
	struct evbuffer *body = evbuffer_new();
	if (text == NULL || body == NULL) {
		evhttp_send_error(request, HTTP_SERVUNAVAIL, "out of memory");
	} else {
		struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
		evhttp_add_header(headers, "Content-Type", type);
		evhttp_add_header(headers, "Cache-Control", "no-store");
		size_t length = strlen(text);
		evbuffer_add(body, text, length);
		if (length == 0 || text[length - 1] != '\n')
			evbuffer_add(body, "\n", 1);
		if (evhttp_request_get_command(request) == EVHTTP_REQ_HEAD)
			leave_out(request, body);
		evhttp_send_reply(request, code, NULL, body);
	}
	if (body != NULL)
		evbuffer_free(body);
	free(text);
}

void
reply_http_refuse(const struct master *master, struct evhttp_request *request, int code,
    const char *why)
{
	reply_http(request, code, REPLY_HTTP_JSON,
	    stats_write_outcome(master, false, why, NULL));
}

void
reply_http_refuse_method(const struct master *master, struct evhttp_request *request,
    const char *allow, const char *why)
{
	evhttp_add_header(evhttp_request_get_output_headers(request), "Allow", allow);
	reply_http_refuse(master, request, HTTP_BADMETHOD, why);
}
