/*
 * prometheus.h - the text format of Prometheus: a family of series has a name, a type
 * and a word of help, and then its values.
 */
#ifndef LIB_PROMETHEUS_H
#define LIB_PROMETHEUS_H

#include <stdint.h>
#include <stdio.h>

#define PROMETHEUS_PREFIX "yodeld_"

/* Names are without the prefix; the series follow. */
void prometheus_family(FILE *out, const char *name, const char *type, const char *help);
/* A family of one series. */
void prometheus_gauge(FILE *out, const char *name, const char *help, double value);
void prometheus_counter(FILE *out, const char *name, const char *help, uint64_t value);

#endif
