/*
 * ctl_json.h - the way to a value in an answer of the server's. Nothing here fails:
 * what another version does not tell is 0 or "".
 */
#ifndef CTL_CTL_JSON_H
#define CTL_CTL_JSON_H

#include <jansson.h>
#include <stdint.h>

/* An answer, or NULL with why not in *ret_why: it is no JSON, or out of memory. */
json_t *ctl_json_load(const char *text, const char **ret_why);

uint64_t ctl_json_number(const json_t *object, const char *key);
const char *ctl_json_text(const json_t *object, const char *key);
/* The number as text, "-" where there is none; into text[CTL_JSON_TEXT_MAX], returned.
 */
#define CTL_JSON_TEXT_MAX 24
const char *ctl_json_format(const json_t *object, const char *key, char *text);
/* Seconds as nanoseconds. */
uint64_t ctl_json_duration_ns(const json_t *object, const char *key);
/* The sum of all numbers in an object. */
uint64_t ctl_json_sum(const json_t *object);

/* A number as the nearest count that there is. */
uint64_t ctl_json_to_count(double number);

/* Makes what an answer says fit for a terminal: control characters but newlines become
 * question marks. */
void ctl_json_make_printable(char *text);

#endif
