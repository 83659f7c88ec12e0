#include "lib/prometheus.h"

#include <inttypes.h>

void
prometheus_family(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

void
prometheus_gauge(FILE *out, const char *name, const char *help, double value)
{
	prometheus_family(out, name, "gauge", help);
	fprintf(out, "%s %.15g\n", name, value);
}

void
prometheus_counter(FILE *out, const char *name, const char *help, uint64_t value)
{
	prometheus_family(out, name, "counter", help);
	fprintf(out, "%s %" PRIu64 "\n", name, value);
}
