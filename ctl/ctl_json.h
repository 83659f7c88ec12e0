/*
 * ctl_json.h - requests to the server, and values in its replies. A missing value is 0
 * or "", so that a server of another version can be shown.
 */
#ifndef CTL_CTL_JSON_H
#define CTL_CTL_JSON_H

#include <jansson.h>
#include <stdint.h>

#include "http/http_client.h"

#define CTL_JSON_ERROR "the server's reply is not valid JSON"

#define CTL_ERROR_MAX 256

/* Sends a request to the admin socket and waits for the response. 0, or -1 with one
 * line in error[CTL_ERROR_MAX] and errno: ENOTCONN if the request was not sent;
 * ETIMEDOUT if there was no response within timeout_s, though the server may have begun
 * with it. */
int ctl_json_request(const char *socket, const char *method, const char *target,
    double timeout_s, struct http_client_response *ret, char *error)
    __attribute__((warn_unused_result));

/* A reply, or NULL when it is not JSON. */
json_t *ctl_json_load(const char *text);

uint64_t ctl_json_number(const json_t *object, const char *key);
const char *ctl_json_text(const json_t *object, const char *key);
/* The number as text, or "-"; into text[CTL_JSON_TEXT_MAX], returned. */
#define CTL_JSON_TEXT_MAX 24
const char *ctl_json_format(const json_t *object, const char *key, char *text);
/* Formats the number as units_show_count(), into text[UNITS_TEXT_MAX]. */
const char *ctl_json_show_count(const json_t *object, const char *key, char *text);
/* Seconds as nanoseconds. */
uint64_t ctl_json_duration_ns(const json_t *object, const char *key);
/* The sum of all numbers in an object. */
uint64_t ctl_json_sum(const json_t *object);

/* Rounded to a count; 0 for what is negative or NaN. */
uint64_t ctl_json_to_count(double number);

/* Makes text of a reply safe for a terminal: control characters except newlines become
 * question marks. */
void ctl_json_make_printable(char *text);

#endif
