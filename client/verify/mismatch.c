#include "client/verify/mismatch.h"

#include <string.h>

#include "lib/clock.h"
#include "lib/units.h"
#include "client/verify/diagnosis.h"

#define EVIDENCE_SHOWN RESYNC_TAIL_MIN /* received bytes shown after the damage */

/* The excerpts depend on the bytes of the stream alone, not on how many had arrived. */
static void
copy_excerpts(const struct resync_case *where, const struct damage *damage,
    struct counters_mismatch *out)
{
	const struct cursor *cursor = &where->expected.cursor;
	struct expectation_reader reader = where->expected;
	size_t got = damage->place.got + EVIDENCE_SHOWN;
	if (damage->shape == DAMAGE_ALTERED && damage->context > damage->place.got)
		got = damage->context;
	if (got > where->length)
		got = where->length;
	if (got > COUNTERS_EXCERPT_MAX)
		got = COUNTERS_EXCERPT_MAX;
	out->got_length = (uint32_t)got;
	if (got > 0)
		memcpy(out->got, where->got, got);
	if (cursor->message >= reader.end)
		return;
	reader.end = cursor->message + 1;
	out->expected_length =
	    (uint32_t)expectation_read(&reader, out->expected, COUNTERS_EXCERPT_MAX);
}

/* The last answer that the damage makes wrong. */
static uint64_t
last_wrong(const struct resync_case *where, const struct damage *damage)
{
	const struct cursor *until = &damage->wrong_until;
	uint64_t last =
	    until->at == 0 && until->message > 0 ? until->message - 1 : until->message;
	uint64_t first = where->expected.cursor.message;
	return last > first ? last : first;
}

/* In the numbers of a server, which begin with the connection. */
static void
add_finding(const struct verify *verify, const struct verify_stream *stream,
    const struct resync_case *where, const struct damage *damage)
{
	const struct cursor *cursor = &where->expected.cursor;
	uint64_t all = where->expected.end;
	uint64_t first =
	    all > verify->sent && verify->sent > 0 ? all - verify->sent : 0;
	uint64_t offset =
	    verify_offset(where->expected.expectation, stream, first, cursor);
	uint64_t from = offset - damage->earlier;
	uint64_t end = from + damage->place.expected;
	const struct finding finding = {
		.kind = FINDING_DAMAGE,
		.connected_ns = verify->connected_ns,
		.connection = where->expected.connection,
		.message = cursor->message > first ? cursor->message - first : 0,
		.last_message = last_wrong(where, damage) - first,
		.offset = from,
		.end = end > offset ? end : offset,
		.missing_bytes = damage->place.expected,
		.extra_bytes = damage->place.got,
	};
	findings_add(verify->counters->findings, &finding, verify->fd);
}

void
mismatch_record(struct verify *verify, const struct verify_stream *stream,
    const struct resync_case *where, const struct damage *damage)
{
	struct counters *counters = verify->counters;
	const struct cursor *cursor = &where->expected.cursor;
	struct diagnosis_case what = {
		.where = where,
		.damage = damage,
		.connections = verify->connections,
		.search_left = &verify->search_left,
		.displaced = stream->displaced,
	};
	if (counters != NULL)
		add_finding(verify, stream, where, damage);
	uint32_t n = counters == NULL
	    ? COUNTERS_MISMATCHES_MAX
	    : atomic_load_explicit(&counters->mismatches, memory_order_relaxed);
	if (n >= COUNTERS_MISMATCHES_MAX)
		return;
	struct counters_mismatch *out = &counters->mismatch[n];
	struct diagnosis diagnosis = { .kind = DIAGNOSIS_UNKNOWN };
	*out = (struct counters_mismatch){
		.connection = where->expected.connection,
		.message = cursor->message,
		.answer_offset = cursor->at,
		.offset = expectation_offset(where->expected.expectation, cursor) +
		    cursor->at,
	};
	if (!where->expected.expectation->none)
		diagnosis = diagnosis_find(&what);
	diagnosis_describe(&diagnosis, out->looks_like, sizeof(out->looks_like));
	copy_excerpts(where, damage, out);
	units_format_time(clock_realtime_ns(), 3, out->at);
	address_format_local(verify->fd, out->local);
	atomic_store_explicit(&counters->mismatches, n + 1, memory_order_release);
}
