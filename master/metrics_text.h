/*
 * metrics_text.h - the text format of Prometheus: a family of series has a name, a type
 * and a word of help, and then its values.
 */
#ifndef MASTER_METRICS_TEXT_H
#define MASTER_METRICS_TEXT_H

#include <stdint.h>
#include <stdio.h>

#define METRICS_PREFIX "yodeld_"

/* Names are without the prefix; the series follow. */
void metrics_begin(FILE *out, const char *name, const char *type, const char *help);
/* A family of one series. */
void metrics_gauge(FILE *out, const char *name, const char *help, double value);
void metrics_total(FILE *out, const char *name, const char *help, uint64_t value);

#endif
