#include "lib/log_ratelimit.h"

#include <stddef.h>
#include <string.h>

#define KINDS 64

static struct {
	const char *kind; /* a string literal */
	uint64_t window_start_ns;
	unsigned long lines;
	unsigned long suppressed;
} rows[KINDS];

bool
log_ratelimit_allow(const char *kind, uint64_t now_ns)
{
	size_t i = 0, oldest = 0;
	while (i < KINDS && rows[i].kind != kind && rows[i].kind != NULL) {
		if (rows[i].window_start_ns < rows[oldest].window_start_ns)
			oldest = i;
		i++;
	}
	if (i == KINDS)
		i = oldest;
	bool is_over = now_ns - rows[i].window_start_ns >= LOG_RATELIMIT_WINDOW_NS;
	if (rows[i].kind != kind || (is_over && rows[i].suppressed == 0)) {
		rows[i].kind = kind;
		rows[i].window_start_ns = now_ns;
		rows[i].lines = rows[i].suppressed = 0;
	}
	if (rows[i].lines < LOG_RATELIMIT_LINES) {
		rows[i].lines++;
		return true;
	}
	rows[i].suppressed++;
	return false;
}

unsigned long
log_ratelimit_take_suppressed(uint64_t now_ns, const char **ret_kind)
{
	for (size_t i = 0; i < KINDS; i++) {
		unsigned long suppressed = rows[i].suppressed;
		if (suppressed == 0 ||
		    now_ns - rows[i].window_start_ns < LOG_RATELIMIT_WINDOW_NS)
			continue;
		*ret_kind = rows[i].kind;
		rows[i].suppressed = rows[i].lines = 0;
		rows[i].window_start_ns = now_ns;
		return suppressed;
	}
	return 0;
}

void
log_ratelimit_reset(void)
{
	memset(rows, 0, sizeof(rows));
}
