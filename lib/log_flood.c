#include "lib/log_flood.h"

#include <stddef.h>
#include <string.h>

#define KINDS 64

static struct {
	const char *kind; /* literals of the program: their addresses tell them apart */
	uint64_t begun_ns;
	unsigned long lines;
	unsigned long left_out;
} rows[KINDS];

bool
log_flood_admits(const char *kind, uint64_t now_ns)
{
	size_t i = 0, oldest = 0;
	while (i < KINDS && rows[i].kind != kind && rows[i].kind != NULL) {
		if (rows[i].begun_ns < rows[oldest].begun_ns)
			oldest = i;
		i++;
	}
	if (i == KINDS)
		i = oldest;
	bool is_over = now_ns - rows[i].begun_ns >= LOG_FLOOD_WINDOW_NS;
	if (rows[i].kind != kind || (is_over && rows[i].left_out == 0)) {
		rows[i].kind = kind;
		rows[i].begun_ns = now_ns;
		rows[i].lines = rows[i].left_out = 0;
	}
	if (rows[i].lines < LOG_FLOOD_LINES) {
		rows[i].lines++;
		return true;
	}
	rows[i].left_out++;
	return false;
}

unsigned long
log_flood_take(uint64_t now_ns, const char **ret_kind)
{
	for (size_t i = 0; i < KINDS; i++) {
		unsigned long left_out = rows[i].left_out;
		if (left_out == 0 || now_ns - rows[i].begun_ns < LOG_FLOOD_WINDOW_NS)
			continue;
		*ret_kind = rows[i].kind;
		rows[i].left_out = rows[i].lines = 0;
		rows[i].begun_ns = now_ns;
		return left_out;
	}
	return 0;
}

void
log_flood_forget(void)
{
	memset(rows, 0, sizeof(rows));
}
