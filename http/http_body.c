#include "http/http_body.h"

#include <sys/queue.h>

#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include <event2/http_struct.h>
#include <event2/keyvalq_struct.h>

#define DIGITS "0123456789"
/* RFC 9110, 5.6.2: anything else, such as the space before a colon, hides a field. */
#define TOKEN                                                                          \
	"!#$%&'*+-.^_`|~" DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static bool
is_name(const char *text)
{
	return text[0] != '\0' && text[strspn(text, TOKEN)] == '\0';
}

/* Digits only; a number that does not fit evhttp's limit has been refused. */
static bool
is_length(const char *text)
{
	return text[0] != '\0' && text[strspn(text, DIGITS)] == '\0';
}

static bool
is_zero(const char *text)
{
	return text[strspn(text, "0")] == '\0';
}

static bool
is_http_1_1(const struct evhttp_request *request)
{
	return request->major == 1 && request->minor == 1;
}

const char *
http_body_check(struct evhttp_request *request)
{
	const char *length = NULL, *coding = NULL;
	bool has_body = evhttp_request_get_command(request) == EVHTTP_REQ_POST;
	const struct evkeyval *field;
	TAILQ_FOREACH(field, evhttp_request_get_input_headers(request), next)
	{
		if (!is_name(field->key))
			return "malformed name of a header field";
		const char **seen = strcasecmp(field->key, "Content-Length") == 0
		    ? &length
		    : strcasecmp(field->key, "Transfer-Encoding") == 0 ? &coding
								       : NULL;
		if (seen == NULL)
			continue;
		if (*seen != NULL)
			return seen == &length
			    ? "found two Content-Length fields, expected one"
			    : "found two Transfer-Encoding fields, expected one";
		*seen = field->value;
	}
	if (length != NULL && !is_length(length))
		return "malformed Content-Length, expected digits";
	if (length != NULL && coding != NULL)
		return "found Content-Length and Transfer-Encoding, expected one of them";
	if (coding != NULL &&
	    (strcasecmp(coding, "chunked") != 0 || !is_http_1_1(request)))
		return "unknown Transfer-Encoding, expected chunked (HTTP/1.1)";
	if (!has_body && (coding != NULL || (length != NULL && !is_zero(length))))
		return "found a body, expected none with this method";
	return NULL;
}
