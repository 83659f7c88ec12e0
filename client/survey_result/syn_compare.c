#include "client/survey_result/syn_compare.h"

#include <stdio.h>
#include <string.h>

enum { IPV4 = 4, IPV6_BYTES = 40, TCP_MIN = 20 };
enum { OPTION_END = 0, OPTION_NOP = 1, OPTION_TIMESTAMPS = 8, TIMESTAMPS_BYTES = 10 };

static void
note(char *list, size_t size, const char *option)
{
	size_t length = strlen(list);
	snprintf(list + length, size - length, "%s%s", length > 0 ? ", " : "", option);
}

static void
compare_option(
    struct syn_difference *to, const char *name, bool was_sent, bool has_arrived)
{
	if (was_sent && !has_arrived)
		note(to->removed, sizeof(to->removed), name);
	else if (!was_sent && has_arrived)
		note(to->added, sizeof(to->added), name);
}

static bool
has_other(const struct tcp_syn *syn, uint8_t kind)
{
	return memchr(syn->others, kind, syn->other_count) != NULL;
}

/* Options without a name of their own, by their number. */
static void
compare_others(struct syn_difference *to, const struct tcp_syn *sent,
    const struct tcp_syn *arrived)
{
	char name[16];
	for (uint8_t i = 0; i < sent->other_count; i++) {
		snprintf(name, sizeof(name), "kind %u", sent->others[i]);
		compare_option(to, name, true, has_other(arrived, sent->others[i]));
	}
	for (uint8_t i = 0; i < arrived->other_count; i++) {
		snprintf(name, sizeof(name), "kind %u", arrived->others[i]);
		compare_option(to, name, has_other(sent, arrived->others[i]), true);
	}
}

struct syn_difference
syn_compare(
    const struct tcp_syn *sent, const struct tcp_syn *arrived, bool compares_window)
{
	struct syn_difference ret = { .removed = "" };
	compare_option(&ret, "MSS", sent->mss > 0, arrived->mss > 0);
	compare_option(&ret, "SACK", sent->sack, arrived->sack);
	compare_option(&ret, "time stamps", sent->timestamps, arrived->timestamps);
	compare_option(&ret, "window scaling", sent->window_scale >= 0,
	    arrived->window_scale >= 0);
	compare_option(&ret, "MPTCP", sent->mptcp, arrived->mptcp);
	compare_option(&ret, "fast open", sent->fast_open, arrived->fast_open);
	compare_others(&ret, sent, arrived);
	ret.is_mss_lower = arrived->mss > 0 && arrived->mss < sent->mss;
	ret.is_mss_higher = arrived->mss > sent->mss && sent->mss > 0;
	ret.is_scale_changed = sent->window_scale >= 0 && arrived->window_scale >= 0 &&
	    sent->window_scale != arrived->window_scale;
	ret.is_window_changed = compares_window && sent->window != arrived->window;
	ret.is_dscp_changed = sent->dscp != arrived->dscp;
	return ret;
}

bool
syn_compare_timestamp(const uint8_t *headers, size_t length, uint32_t *ret)
{
	if (length < 1)
		return false;
	size_t ip =
	    headers[0] >> 4 == IPV4 ? (size_t)(headers[0] & 0x0f) * 4 : IPV6_BYTES;
	if (length < ip + TCP_MIN)
		return false;
	size_t end = ip + (size_t)(headers[ip + 12] >> 4) * 4, at = ip + TCP_MIN;
	if (end > length)
		end = length;
	while (at < end && headers[at] != OPTION_END) {
		if (headers[at] == OPTION_NOP) {
			at++;
			continue;
		}
		if (at + 2 > end || headers[at + 1] < 2 || at + headers[at + 1] > end)
			return false;
		if (headers[at] == OPTION_TIMESTAMPS &&
		    headers[at + 1] == TIMESTAMPS_BYTES) {
			const uint8_t *v = headers + at + 2;
			*ret = (uint32_t)v[0] << 24 | (uint32_t)v[1] << 16 |
			    (uint32_t)v[2] << 8 | v[3];
			return true;
		}
		at += headers[at + 1];
	}
	return false;
}

const char *
syn_compare_describe(const struct tcp_syn *syn, char *buffer)
{
	snprintf(buffer, 128, "MSS %u%s%s%s, scale %d, window %u, TTL %u, DSCP %u%s",
	    syn->mss, syn->sack ? ", SACK" : "", syn->timestamps ? ", time stamps" : "",
	    syn->mptcp ? ", MPTCP" : "", syn->window_scale, syn->window, syn->ttl,
	    syn->dscp, syn->ece ? ", ECN" : "");
	return buffer;
}
