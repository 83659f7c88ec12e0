/*
 * http_body.h - do the headers of a request say, in one way only, where it ends? evhttp
 * takes the first of two Content-Length fields, and reads no body where it does not
 * know the transfer coding: the bytes of that body would be the next request. A proxy
 * in front may see another end, and so pass a request that it does not know of (RFC
 * 9112, 11.2).
 */
#ifndef HTTP_HTTP_BODY_H
#define HTTP_HTTP_BODY_H

#include <event2/http.h>

/* NULL, or what is wrong: the request must be refused, and its connection closed (RFC
 * 9112, 6.3). */
const char *http_body_check(struct evhttp_request *request);

#endif
