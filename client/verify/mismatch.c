#include "client/verify/mismatch.h"

#include <string.h>

#include "lib/clock.h"
#include "lib/units.h"

/* Many wrong answers must not stop the load; a few among many correct ones are each
 * diagnosed, because resynchronisation depends on the diagnosis. */
#define SEARCHES_FREE 64
#define RIGHT_FOR_SEARCH 64

enum reply_kind
mismatch_kind(const struct verify *verify, bool *ret_is_detected)
{
	*ret_is_detected = true;
	if (verify->expectation->reply != NULL)
		return verify->expectation->reply->kind;
	uint32_t detected =
	    atomic_load_explicit(verify->detected, memory_order_relaxed);
	*ret_is_detected = detected != 0;
	return detected != 0 ? (enum reply_kind)(detected - 1) : REPLY_ECHO;
}

struct diagnosis_case
mismatch_case(struct verify *verify, const struct verify_input *in)
{
	bool detected;
	return (struct diagnosis_case){
		.expectation = verify->expectation,
		.reply = mismatch_kind(verify, &detected),
		.connection = in->connection,
		.cursor = &in->stream->cursor,
		.header = in->stream->header,
		.unanswered = in->unanswered,
		.connections = verify->connections,
		.steps_left = &verify->steps_left,
		.got = in->data,
		.length = in->length,
		.scratch = verify->scratch,
	};
}

void
mismatch_record(struct verify *verify, const struct diagnosis_case *where,
    const struct diagnosis *diagnosis)
{
	struct counters *counters = verify->counters;
	uint32_t n = counters == NULL
	    ? COUNTERS_MISMATCHES_MAX
	    : atomic_load_explicit(&counters->mismatches, memory_order_relaxed);
	if (n >= COUNTERS_MISMATCHES_MAX)
		return;
	struct counters_mismatch *out = &counters->mismatch[n];
	uint64_t before = expectation_offset(where->expectation, where->cursor);
	*out = (struct counters_mismatch){
		.connection = where->connection,
		.message = where->cursor->message,
		.answer_offset = where->cursor->at,
		.offset = before + where->cursor->at,
		.got_length = where->length < COUNTERS_EXCERPT_MAX
		    ? (uint32_t)where->length
		    : COUNTERS_EXCERPT_MAX,
	};
	if (out->got_length > 0)
		memcpy(out->got, where->got, out->got_length);
	if (where->unanswered > 0)
		out->expected_length = (uint32_t)diagnosis_expected_bytes(where,
		    where->connection, *where->cursor, where->unanswered, out->expected,
		    COUNTERS_EXCERPT_MAX);
	diagnosis_describe(diagnosis, out->looks_like, sizeof(out->looks_like));
	units_format_time(clock_realtime_ns(), 3, out->at);
	address_format_local(verify->fd, out->local);
	atomic_store_explicit(&counters->mismatches, n + 1, memory_order_release);
}

struct diagnosis
mismatch_diagnose(struct verify *verify, const struct diagnosis_case *where)
{
	const struct counters *counters = verify->counters;
	uint64_t right = counters == NULL ? 0
					  : counters_get(&counters->messages.verified) +
		counters_get(&counters->warmup.verified);
	if (verify->searches >= SEARCHES_FREE + right / RIGHT_FOR_SEARCH)
		return (struct diagnosis){ .kind = DIAGNOSIS_UNSEARCHED };
	verify->searches++;
	return diagnosis_find(where);
}
