/*
 * ctl_json.h - the way to a value in an answer of the server's. Nothing here fails:
 * what another version does not tell is 0 or "".
 */
#ifndef MASTER_CTL_JSON_H
#define MASTER_CTL_JSON_H

#include <jansson.h>
#include <stdint.h>

uint64_t ctl_json_number(const json_t *object, const char *key);
const char *ctl_json_text(const json_t *object, const char *key);
/* The number as text, "-" where there is none; into text[CTL_JSON_TEXT_MAX], returned.
 */
#define CTL_JSON_TEXT_MAX 24
const char *ctl_json_show(const json_t *object, const char *key, char *text);
/* The sum of all numbers in an object. */
uint64_t ctl_json_sum(const json_t *object);

#endif
