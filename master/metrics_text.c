#include "master/metrics_text.h"

#include <inttypes.h>

void
metrics_begin(FILE *out, const char *name, const char *type, const char *help)
{
	fprintf(out, "# HELP " METRICS_PREFIX "%s %s\n# TYPE " METRICS_PREFIX "%s %s\n",
	    name, help, name, type);
}

void
metrics_gauge(FILE *out, const char *name, const char *help, double value)
{
	metrics_begin(out, name, "gauge", help);
	fprintf(out, METRICS_PREFIX "%s %.15g\n", name, value);
}

void
metrics_total(FILE *out, const char *name, const char *help, uint64_t value)
{
	metrics_begin(out, name, "counter", help);
	fprintf(out, METRICS_PREFIX "%s %" PRIu64 "\n", name, value);
}
