/*
 * prometheus.h - the Prometheus text format, version 0.0.4: a family of series has a
 * name, a type and a help text, and then its values.
 */
#ifndef LIB_PROMETHEUS_H
#define LIB_PROMETHEUS_H

#include <stdint.h>
#include <stdio.h>

/* The caller writes the series. */
void prometheus_family(FILE *out, const char *name, const char *type, const char *help);
/* A family of one series. */
void prometheus_gauge(FILE *out, const char *name, const char *help, double value);
void prometheus_counter(FILE *out, const char *name, const char *help, uint64_t value);

#endif
