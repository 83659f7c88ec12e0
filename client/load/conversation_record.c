#include "client/load/conversation_record.h"

#include <stdio.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/units.h"
#include "net/address.h"

/* The named step that a part belongs to or answers; "": none. */
static const char *
step_name(const struct conversation *conversation, uint16_t part)
{
	const struct conversation_step *steps = conversation->steps;
	uint8_t section = conversation->parts[part].section;
	for (uint16_t i = conversation->parts[part].step;; i--) {
		if (conversation->parts[steps[i].first].section != section)
			return "";
		if (steps[i].name != CONVERSATION_NONE)
			return conversation->step_names[steps[i].name];
		if (steps[i].speaker == CONVERSATION_CLIENT || i == 0)
			return "";
	}
}

/* Bytes of a literal that were expected. */
static void
copy_expected(const struct conversation *conversation,
    const struct player_mismatch *mismatch, struct counters_mismatch *out)
{
	const struct conversation_part *part = &conversation->parts[mismatch->part];
	if (part->kind != CONVERSATION_LITERAL || mismatch->at >= part->length)
		return;
	uint32_t length = part->length - mismatch->at;
	out->expected_length =
	    length < COUNTERS_EXCERPT_MAX ? length : COUNTERS_EXCERPT_MAX;
	memcpy(out->expected, conversation->bytes + part->at + mismatch->at,
	    out->expected_length);
}

static void
add_finding(const struct load_context *ctx, const struct conn *conn,
    const struct player_mismatch *mismatch)
{
	struct finding finding = {
		.kind = FINDING_DAMAGE,
		.connected_ns = conn->connect_ns,
		.connection = conn_state_number(ctx, conn),
		.last_message = FINDING_NO_END,
		.offset = mismatch->offset > mismatch->at
		    ? mismatch->offset - mismatch->at
		    : 0,
		.end = mismatch->offset,
	};
	if (mismatch->fault == PLAYER_CLOSED_EARLY ||
	    mismatch->fault == PLAYER_RESET_EARLY) {
		finding.kind = mismatch->fault == PLAYER_CLOSED_EARLY ? FINDING_CLOSED
								      : FINDING_RESET;
		finding.end = FINDING_NO_END;
	}
	findings_add(ctx->counters->findings, &finding, conn->stream.fd);
}

void
conversation_record_mismatch(const struct load_context *ctx, const struct conn *conn,
    const struct player_side *side, const struct player *player,
    const struct player_mismatch *mismatch)
{
	struct counters *counters = ctx->counters;
	add_finding(ctx, conn, mismatch);
	uint32_t n = atomic_load_explicit(&counters->mismatches, memory_order_relaxed);
	if (n >= COUNTERS_MISMATCHES_MAX)
		return;
	struct counters_mismatch *out = &counters->mismatch[n];
	*out = (struct counters_mismatch){
		.connection = conn_state_number(ctx, conn),
		.message = player_pass(player),
		.offset = mismatch->offset,
		.answer_offset = mismatch->at,
		.line = conversation_line(side->conversation, mismatch->part),
		.got_length = mismatch->found_length < COUNTERS_EXCERPT_MAX
		    ? mismatch->found_length
		    : COUNTERS_EXCERPT_MAX,
	};
	memcpy(out->got, mismatch->found, out->got_length);
	copy_expected(side->conversation, mismatch, out);
	snprintf(out->step, sizeof(out->step), "%s",
	    step_name(side->conversation, mismatch->part));
	player_describe_mismatch(
	    side, player, mismatch, out->description, sizeof(out->description));
	units_format_time(clock_realtime_ns(), 3, out->at);
	address_format_local(conn->stream.fd, out->local);
	atomic_store_explicit(&counters->mismatches, n + 1, memory_order_release);
}

void
conversation_record_waiting(const struct player_side *side, const struct player *player,
    struct counters_lost_connection *ret)
{
	struct player_mismatch waiting;
	player_waiting(side, player, &waiting);
	ret->line = conversation_line(side->conversation, waiting.part);
	snprintf(ret->step, sizeof(ret->step), "%s",
	    step_name(side->conversation, waiting.part));
	player_describe_mismatch(
	    side, player, &waiting, ret->waiting, sizeof(ret->waiting));
}
