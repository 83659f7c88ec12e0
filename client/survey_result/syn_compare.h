/*
 * syn_compare.h - a SYN as it was sent, and as it arrived.
 */
#ifndef CLIENT_SURVEY_RESULT_SYN_COMPARE_H
#define CLIENT_SURVEY_RESULT_SYN_COMPARE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/tcp_syn.h"

struct syn_difference {
	char removed[96], added[96]; /* options, separated by ", "; "" for none */
	bool is_mss_lower, is_mss_higher;
	bool is_scale_changed, is_window_changed;
	bool is_dscp_changed;
};

/* The window is compared only with compares_window: one that was made on another route
 * differs. */
struct syn_difference syn_compare(
    const struct tcp_syn *sent, const struct tcp_syn *arrived, bool compares_window);

/* The time stamp of a SYN's headers as they arrived (tcp_syn.h); false without one. */
bool syn_compare_timestamp(const uint8_t *headers, size_t length, uint32_t *ret);

/* "MSS 1460, SACK, time stamps, scale 7, window 64240, DSCP 10" into buffer[128],
 * returned. */
const char *syn_compare_describe(const struct tcp_syn *syn, char *buffer);

#endif
