/*
 * reply_http.h - an answer over HTTP.
 */
#ifndef MASTER_REPLY_HTTP_H
#define MASTER_REPLY_HTTP_H

#include <event2/http.h>

#include "master/master.h"

#define REPLY_HTTP_JSON "application/json"
#define REPLY_HTTP_TEXT "text/plain; charset=utf-8"

/* What the server could not do, in the state that it is in. */
#define HTTP_CONFLICT 409

/* Sends heap text, with a newline at its end, and frees it; NULL is want of memory. */
void reply_http(struct evhttp_request *request, int code, const char *type, char *text);
/* A JSON object {ok, text, ...} that says no. */
void reply_http_refuse(const struct master *master, struct evhttp_request *request,
    int code, const char *why);
/* The same for a method that is not among those that `allow` lists (RFC 9110, 15.5.6).
 */
void reply_http_refuse_method(const struct master *master,
    struct evhttp_request *request, const char *allow, const char *why);

#endif
