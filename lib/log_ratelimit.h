/*
 * log_ratelimit.h - at most LOG_RATELIMIT_LINES lines of one kind in each window; the
 * rest is counted.
 *
 * A kind is a format string, identified by its address.
 */
#ifndef LIB_LOG_RATELIMIT_H
#define LIB_LOG_RATELIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_RATELIMIT_LINES 300
#define LOG_RATELIMIT_WINDOW_NS UINT64_C(5000000000)

/* True: write this line; false: it was counted as suppressed. */
bool log_ratelimit_allow(const char *kind, uint64_t now_ns);

/* Takes the count of one kind whose window is over, and the kind; 0: no more. */
unsigned long log_ratelimit_take_suppressed(uint64_t now_ns, const char **ret_kind);

/* Forgets all counts. */
void log_ratelimit_reset(void);

#endif
