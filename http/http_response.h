/*
 * http_response.h - sends the response to a request of http_server.h.
 */
#ifndef HTTP_HTTP_RESPONSE_H
#define HTTP_HTTP_RESPONSE_H

#include <event2/http.h>

#define HTTP_RESPONSE_JSON "application/json"
#define HTTP_RESPONSE_TEXT "text/plain; charset=utf-8"

/* The server cannot do it in its present state (evhttp has no name for it). */
#define HTTP_CONFLICT 409

/* Sends heap text, ended by a newline, and frees it. NULL means out of memory and sends
 * 503. */
void http_response_send(
    struct evhttp_request *request, int code, const char *type, char *text);
/* Refuses a method with 405 and the list of those allowed (RFC 9110, 15.5.6). */
void http_response_send_bad_method(
    struct evhttp_request *request, const char *allow, const char *type, char *text);

#endif
