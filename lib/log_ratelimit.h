/*
 * log_ratelimit.h - keeps one event that happens ten thousand times from filling the
 * log: so many lines of one kind in so much time, the rest is counted.
 *
 * A kind is the text that the program gives, before its values are filled in.
 */
#ifndef LIB_LOG_RATELIMIT_H
#define LIB_LOG_RATELIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LOG_RATELIMIT_LINES 300 /* of one kind, in each window */
#define LOG_RATELIMIT_WINDOW_NS UINT64_C(5000000000)

/* Whether this line is to be written. */
bool log_ratelimit_allow(const char *kind, uint64_t now_ns);

/* The number of lines of a kind that were left out in a window that is over, and the
 * kind; 0: there are none (any more). */
unsigned long log_ratelimit_take_suppressed(uint64_t now_ns, const char **ret_kind);

/* All that is counted. */
void log_ratelimit_reset(void);

#endif
