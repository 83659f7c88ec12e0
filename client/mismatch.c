#include "client/mismatch.h"

#include <string.h>

#include "client/sighting.h"

/* A flood of wrong answers must not stop the load; a few among many that are right are
 * each looked at, for the stream behind it depends on it. */
#define SEARCHES_FREE 64
#define RIGHT_FOR_SEARCH 64

enum reply_kind
mismatch_kind(const struct verify *verify, bool *ret_told)
{
	*ret_told = true;
	if (verify->expectation->reply != NULL)
		return verify->expectation->reply->kind;
	uint32_t told = atomic_load_explicit(verify->told, memory_order_relaxed);
	*ret_told = told != 0;
	return told != 0 ? (enum reply_kind)(told - 1) : REPLY_ECHO;
}

struct suspect_case
mismatch_case(struct verify *verify, uint64_t connection,
    const struct verify_stream *stream, uint32_t owed, const uint8_t *data,
    size_t length)
{
	bool told;

	return (struct suspect_case){
		.expectation = verify->expectation,
		.reply = mismatch_kind(verify, &told),
		.connection = connection,
		.cursor = &stream->cursor,
		.header = stream->header,
		.owed = owed,
		.connections = verify->connections,
		.steps_left = &verify->steps_left,
		.got = data,
		.length = length,
		.scratch = verify->scratch,
	};
}

void
mismatch_note(struct verify *verify, const struct suspect_case *where,
    const struct suspect *suspect)
{
	struct tally *tally = verify->tally;
	uint32_t n = tally == NULL
	    ? TALLY_MISMATCHES_MAX
	    : atomic_load_explicit(&tally->mismatches, memory_order_relaxed);

	if (n >= TALLY_MISMATCHES_MAX)
		return;
	struct tally_mismatch *out = &tally->mismatch[n];
	uint64_t before = expectation_offset(where->expectation, where->cursor);
	*out = (struct tally_mismatch){
		.connection = where->connection,
		.message = where->cursor->message,
		.answer_offset = where->cursor->at,
		.offset = before + where->cursor->at,
		.got_length = where->length < TALLY_WINDOW_MAX ? (uint32_t)where->length
							       : TALLY_WINDOW_MAX,
	};
	if (out->got_length > 0)
		memcpy(out->got, where->got, out->got_length);
	if (where->owed > 0)
		out->expected_length = (uint32_t)suspect_run(where, where->connection,
		    *where->cursor, where->owed, out->expected, TALLY_WINDOW_MAX);
	suspect_describe(suspect, out->looks_like, sizeof(out->looks_like));
	sighting_now(out->at);
	sighting_local(verify->fd, out->local);
	atomic_store_explicit(&tally->mismatches, n + 1, memory_order_release);
}

struct suspect
mismatch_inspect(struct verify *verify, const struct suspect_case *where)
{
	const struct tally *tally = verify->tally;
	uint64_t right = tally == NULL
	    ? 0
	    : tally_get(&tally->messages.verified) + tally_get(&tally->warmup.verified);

	if (verify->searches >= SEARCHES_FREE + right / RIGHT_FOR_SEARCH)
		return (struct suspect){ .kind = SUSPECT_UNSEARCHED };
	verify->searches++;
	return suspect_find(where);
}
