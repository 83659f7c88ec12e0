/*
 * ctl_http.h - one request to a running yodeld over its Unix socket, and the answer.
 */
#ifndef CTL_CTL_HTTP_H
#define CTL_CTL_HTTP_H

#include "http/http_client.h"

#define CTL_ERROR_MAX 256

/* Blocks until the answer is there, at most `timeout_s`. 0, or -1 with one line in
 * error[CTL_ERROR_MAX]: nobody answers there (errno ETIMEDOUT: who was asked does not
 * answer within the time). */
int ctl_http_request(const char *socket, const char *method, const char *target,
    double timeout_s, struct http_client_response *ret, char *error)
    __attribute__((warn_unused_result));

#endif
