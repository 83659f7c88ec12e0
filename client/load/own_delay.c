#include "client/load/own_delay.h"

#include "lib/clock.h"

/* The threshold settles where (1 - p) / FALL = p / RISE: 1.5 % of the reads are above.
 */
#define RISE 16
#define FALL 1024

static uint32_t
next_skip(struct load_sample *sample)
{
	sample->random = sample->random * UINT64_C(6364136223846793005) + 1;
	return 1 + (uint32_t)((sample->random >> 33) % (2 * OWN_DELAY_STRIDE - 1));
}

uint32_t
own_delay_weight(struct load_context *ctx, const struct conn *conn)
{
	struct load_sample *sample = &ctx->sample;
	if (conn->in_flight == 0 || ctx->plan->slow_read > 0)
		return 0;
	uint64_t age_ns = ctx->times.now_ns -
	    message_queue_at(&ctx->message_pool, conn->queue.head)->intended_ns;
	bool is_slow = age_ns >= sample->slow_ns;
	if (is_slow)
		sample->slow_ns += sample->slow_ns / RISE + 1;
	else
		sample->slow_ns -= sample->slow_ns / FALL;
	/* The begin or the end of a period of --hold is as exact as the arrival. */
	bool is_outage = ctx->watches != NULL &&
	    (conn->in_flight > 1 || age_ns > ctx->plan->hold_ns);
	if (is_slow || is_outage || conn->due > 0)
		return 1;
	if (sample->skip-- > 1)
		return 0;
	sample->skip = next_skip(sample);
	return OWN_DELAY_STRIDE;
}

void
own_delay_set(struct load_context *ctx, uint32_t weight, uint64_t waited_ns)
{
	/* Data that arrived before received_ns has been read. An older time stamp is
	 * that of a segment that waited for an earlier one, which was lost and
	 * retransmitted; or the clock of the stamps was set. */
	uint64_t longest_ns = ctx->times.now_ns - ctx->times.received_ns;
	bool is_known = waited_ns != RECEIVE_TIME_UNKNOWN;
	ctx->sample.weight = is_known ? weight : 0;
	ctx->sample.waited_ns = !is_known ? 0
	    : waited_ns < longest_ns      ? waited_ns
					  : longest_ns;
}

static uint32_t
to_us(uint64_t ns)
{
	uint64_t us = ns / NS_PER_US;
	return us < UINT32_MAX ? (uint32_t)us : UINT32_MAX;
}

void
own_delay_sent_late(const struct conn *conn, struct queued_message *message,
    uint64_t now_ns, uint64_t *ret_blocked_ns, uint64_t *ret_lag_ns)
{
	uint64_t intended_ns = message->intended_ns, ready_ns = conn->ready_ns;
	uint64_t blocked_ns = ready_ns > intended_ns ? ready_ns - intended_ns : 0;
	uint64_t lag_ns = now_ns - intended_ns - blocked_ns;
	uint64_t earlier_ns = (uint64_t)conn->own_us * NS_PER_US;
	*ret_blocked_ns = blocked_ns;
	*ret_lag_ns = lag_ns;
	message->own_us =
	    to_us(lag_ns + (earlier_ns < blocked_ns ? earlier_ns : blocked_ns));
}

static void
record(struct load_context *ctx, enum counters_sample which, uint64_t ns,
    uint64_t own_ns, uint64_t weight)
{
	struct histogram **pair = ctx->counters->samples[which];
	histogram_record_many(pair[COUNTERS_MEASURED], ns, weight);
	histogram_record_many(
	    pair[COUNTERS_WITHOUT_OWN], ns > own_ns ? ns - own_ns : 0, weight);
}

void
own_delay_record(struct load_context *ctx, struct conn *conn,
    const struct queued_message *message, bool is_measured, uint32_t count)
{
	const struct load_sample *sample = &ctx->sample;
	uint64_t weight = (uint64_t)sample->weight * count;
	uint64_t now_ns = ctx->times.now_ns, waited_ns = sample->waited_ns;
	uint64_t own_ns = (uint64_t)message->own_us * NS_PER_US + waited_ns;
	conn->own_us = to_us(own_ns);
	if (!is_measured)
		return;
	if (own_ns > counters_get(&ctx->counters->own_delay_max_ns))
		counters_set(&ctx->counters->own_delay_max_ns, own_ns);
	histogram_record_many(
	    ctx->counters->histograms[LATENCY_RECEIVE_LAG], waited_ns, weight);
	record(ctx, COUNTERS_SAMPLE_RESPONSE, now_ns - message->intended_ns, own_ns,
	    weight);
	/* Without a schedule a message is sent when it is due: both are the same. */
	if (ctx->plan->load >= PLAN_INTERVAL)
		record(ctx, COUNTERS_SAMPLE_SERVICE, now_ns - message->written_ns,
		    waited_ns, weight);
}
