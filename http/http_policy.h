/*
 * http_policy.h - the Content-Security-Policy of a self-contained page: its own style
 * and script, marked with a nonce, requests to this server, and nothing else (W3C
 * Content Security Policy Level 3).
 */
#ifndef HTTP_HTTP_POLICY_H
#define HTTP_HTTP_POLICY_H

struct evhttp_request;

#define HTTP_POLICY_NONCE_MAX 33 /* bytes, NUL included */

/* A new nonce in hex into nonce[HTTP_POLICY_NONCE_MAX]. 0, or -1 with errno. */
int http_policy_make_nonce(char *nonce) __attribute__((warn_unused_result));
/* Adds the headers to the response that will be sent. */
void http_policy_add(struct evhttp_request *request, const char *nonce);

#endif
