/*
 * http_response.h - an answer over HTTP.
 */
#ifndef HTTP_HTTP_RESPONSE_H
#define HTTP_HTTP_RESPONSE_H

#include <event2/http.h>

#include "master/master.h"

#define HTTP_RESPONSE_JSON "application/json"
#define HTTP_RESPONSE_TEXT "text/plain; charset=utf-8"

/* What the server could not do, in the state that it is in. */
#define HTTP_CONFLICT 409

/* Sends heap text, with a newline at its end, and frees it; NULL is want of memory. */
void http_response_send(
    struct evhttp_request *request, int code, const char *type, char *text);
/* A JSON object {ok, text, ...} that says no. */
void http_response_send_error(const struct master *master,
    struct evhttp_request *request, int code, const char *why);
/* The same for a method that is not among those that `allow` lists (RFC 9110, 15.5.6).
 */
void http_response_send_bad_method(const struct master *master,
    struct evhttp_request *request, const char *allow, const char *why);

#endif
