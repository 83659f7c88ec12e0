/* Conversations: what the client says and must hear comes from a player. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/buffer.h"
#include "lib/xmalloc.h"
#include "proto/conversation/player/player.h"
#include "client/load/accounting.h"
#include "client/load/conversation_record.h"
#include "client/load/traffic.h"

#define CAPTURES_MAX (64u << 10) /* bytes of a connection */

/* One connection. */
struct talk {
	struct player player;
	/* Received, but the player had to say or do something first. While there are
	 * such bytes the connection does not read. */
	struct buffer *unheard;
	uint64_t since_ns;  /* last said, or end of a pause: the peer's turn */
	uint64_t step_ns;   /* first byte of the named step that is being answered */
	uint64_t resume_ns; /* end of a pause */
	uint32_t granted;   /* passes that the player may say and has not begun */
	uint8_t event;      /* enum player_event at which the player stands */
	bool is_requested;  /* it was returned by next() */
	bool skips_pauses;  /* the peer has reset the connection */
};

/* Memory per connection, beside that of conn_state.c. */
_Static_assert(sizeof(struct conn) + sizeof(struct timer_wheel_entry) +
	    2 * sizeof(uint32_t) + sizeof(struct talk) <=
	384,
    "an idle connection of a conversation takes at most 384 bytes");

/* Output of the last gather() for a connection, to be committed by sent(). */
struct gathered {
	struct player after; /* the player behind these bytes */
	size_t length;
	uint32_t passes;  /* that begin in them */
	bool begins_step; /* a named step does */
};

/* State of a load process. */
struct talks {
	struct player_side side;
	/* A pass begins when it is due, because the server speaks first, or the client
	 * pauses or closes first. Else it begins with the first byte that is sent. */
	bool begins_when_due;
	struct gathered gathered;
	struct talk each[];
};

static struct talk *
talk_of(const struct load_context *ctx, const struct conn *conn)
{
	return &ctx->talks->each[conn_state_index(ctx, conn)];
}

/* False if a pass begins with text of the client. */
static bool
begins_when_due(const struct conversation *conversation)
{
	const struct conversation_range *repeat =
	    &conversation->sections[CONVERSATION_REPEAT];
	const struct conversation_part *first = &conversation->parts[repeat->first];
	return repeat->first == repeat->end || first->speaker == CONVERSATION_SERVER ||
	    first->kind >= CONVERSATION_PAUSE;
}

static void
start(struct load_context *ctx)
{
	const struct plan *plan = ctx->plan;
	ctx->talks =
	    xcalloc(1, sizeof(*ctx->talks) + ctx->count * sizeof(ctx->talks->each[0]));
	ctx->talks->side = (struct player_side){
		.conversation = &plan->conversation,
		.role = CONVERSATION_CLIENT,
		.seed = plan->seed,
		.pid = (uint32_t)getpid(),
		.runs_ahead = plan->pipeline != 1 &&
		    plan->conversation.pipeline_refusal[0] == '\0',
		.capture_max = CAPTURES_MAX,
	};
	ctx->talks->begins_when_due = begins_when_due(&plan->conversation);
}

static void
forget(struct talk *talk)
{
	player_finish(&talk->player);
	buffer_release(&talk->unheard);
}

static void
finish(struct load_context *ctx)
{
	for (uint32_t i = 0; i < ctx->count; i++)
		forget(&ctx->talks->each[i]);
	free(ctx->talks);
	ctx->talks = NULL;
}

/* The answer to a named step is complete. Passes that run ahead of their answers have
 * begun their steps with their first byte. */
static void
count_step(struct load_context *ctx, const struct conn *conn, uint16_t step)
{
	uint64_t since_ns = talk_of(ctx, conn)->step_ns;
	if (conn->in_flight > 0) {
		const struct queued_message *message =
		    message_queue_at(&ctx->message_pool, conn->queue.head);
		if (message->intended_ns < ctx->times.measure_ns)
			return;
		if (ctx->talks->side.runs_ahead)
			since_ns = message->written_ns;
	}
	uint32_t which = LATENCY_STEP_FIRST + (uint32_t)step;
	if (which < ctx->counters->latency_count)
		histogram_record(
		    ctx->counters->histograms[which], ctx->times.now_ns - since_ns);
}

/* A section outside of the passes is over. */
static void
count_section(const struct load_context *ctx, enum conversation_section section,
    enum latency_kind which, uint64_t since_ns)
{
	const struct conversation_range *range =
	    &ctx->plan->conversation.sections[section];
	if (range->first != range->end)
		accounting_record(ctx, which, ctx->times.now_ns - since_ns);
}

/* The pass in which it happened is wrong; opening and end belong to no pass. */
static void
on_mismatch(
    struct load_context *ctx, struct conn *conn, const struct player_mismatch *mismatch)
{
	conversation_record_mismatch(
	    ctx, conn, &ctx->talks->side, &talk_of(ctx, conn)->player, mismatch);
	if (mismatch->section == CONVERSATION_REPEAT && conn->in_flight > 0)
		accounting_answered(ctx, conn, false, ctx->times.now_ns);
}

/* Lets the player hear bytes, up to an event that stops it. Returns how many it used.
 */
static size_t
hear(struct load_context *ctx, struct conn *conn, const uint8_t *data, size_t length)
{
	const struct player_side *side = &ctx->talks->side;
	struct talk *talk = talk_of(ctx, conn);
	struct player_detail detail;
	size_t all = 0;
	for (;;) {
		size_t used = 0;
		enum player_event event = player_feed(side, &talk->player,
		    length > all ? data + all : NULL, length - all, &used, &detail);
		all += used;
		if (event == PLAYER_STEP_DONE) {
			count_step(ctx, conn, detail.step);
			continue;
		}
		if (event == PLAYER_PASS_DONE) {
			accounting_answered(ctx, conn, true, ctx->times.now_ns);
			if (ctx->talks->begins_when_due && conn->in_flight == 0)
				length = all; /* of a pass that is not due yet */
			continue;
		}
		talk->event = (uint8_t)event;
		talk->is_requested = false;
		if (event == PLAYER_PAUSE) {
			talk->resume_ns = ctx->times.now_ns +
			    (talk->skips_pauses ? 0 : detail.pause_ns);
			conn_state_set_timer(ctx, conn);
		} else if (event == PLAYER_OPENED) {
			count_section(ctx, CONVERSATION_OPENING, LATENCY_OPENING,
			    conn->opened_ns);
		} else if (event == PLAYER_FINISHED && conn->state == CONN_ENDING) {
			count_section(ctx, CONVERSATION_END, LATENCY_ENDING,
			    conn->state_since_ns);
		} else if (event == PLAYER_MISMATCH) {
			on_mismatch(ctx, conn, &detail.mismatch);
		} else if (event == PLAYER_NO_MEMORY) {
			xmalloc_fail();
		}
		return all;
	}
}

/* Goes on after something was said or done, with the bytes that came meanwhile. */
static void
go_on(struct load_context *ctx, struct conn *conn)
{
	struct talk *talk = talk_of(ctx, conn);
	size_t length = buffer_length(talk->unheard);
	const uint8_t *data =
	    length > 0 ? talk->unheard->data + talk->unheard->start : NULL;
	size_t used = hear(ctx, conn, data, length);
	if (length == 0)
		return;
	buffer_consume(&talk->unheard, used);
	if (talk->unheard != NULL)
		return;
	conn->is_held = false;
	conn_state_enqueue_ready(ctx, conn); /* reads what has arrived since */
}

static void
open_conversation(struct load_context *ctx, struct conn *conn)
{
	struct talk *talk = talk_of(ctx, conn);
	*talk = (struct talk){ .since_ns = ctx->times.now_ns };
	player_init(&ctx->talks->side, (uint32_t)conn_state_number(ctx, conn),
	    conn->send.message, &talk->player);
	conn->send.at = 0;
	go_on(ctx, conn);
}

/* Forgets what the server has said for a pass that will not be. */
static void
drop_unheard(struct load_context *ctx, struct conn *conn)
{
	buffer_release(&talk_of(ctx, conn)->unheard);
	conn->is_held = false;
	conn_state_enqueue_ready(ctx, conn);
}

static void
close_conversation(struct load_context *ctx, struct conn *conn)
{
	struct talk *talk = talk_of(ctx, conn);
	talk->since_ns = ctx->times.now_ns;
	player_start_end(&talk->player);
	if (talk->event == PLAYER_IDLE)
		go_on(ctx, conn);
	if (talk->event == PLAYER_FINISHED && talk->unheard != NULL)
		drop_unheard(ctx, conn);
}

/* Gives the player the passes that are due. */
static void
grant(struct load_context *ctx, struct conn *conn, struct talk *talk)
{
	uint32_t startable = conn_state_startable(ctx, conn);
	if (startable <= talk->granted)
		return;
	for (uint32_t n = startable - talk->granted; n > 0; n--) {
		player_start_pass(&talk->player);
		if (ctx->talks->begins_when_due)
			accounting_started(ctx, conn, 1);
		else
			talk->granted++;
	}
	if (talk->event == PLAYER_IDLE || talk->event == PLAYER_NEEDS_INPUT)
		go_on(ctx, conn);
}

static const uint8_t *
gather(struct load_context *ctx, struct conn *conn, size_t *ret_length)
{
	struct gathered *gathered = &ctx->talks->gathered;
	struct talk *talk = talk_of(ctx, conn);
	uint8_t *out = ctx->buffers.outgoing;
	size_t room = ctx->plan->dribble ? 1 : LOAD_BUFFER_BYTES, n = 1;
	if (conn->state == CONN_OPEN)
		grant(ctx, conn, talk);
	if (talk->event != PLAYER_HAS_OUTPUT)
		return NULL;
	gathered->after = talk->player;
	gathered->length = gathered->passes = 0;
	gathered->begins_step = false;
	while (gathered->length < room && n > 0) {
		uint16_t step = CONVERSATION_NONE;
		bool begins = false;
		uint8_t *to = out + gathered->length;
		n = room - gathered->length;
		const uint8_t *bytes = player_output(
		    &ctx->talks->side, &gathered->after, to, &n, &step, &begins);
		if (n > 0 && bytes != to)
			memcpy(to, bytes, n);
		gathered->length += n;
		gathered->passes += begins;
		gathered->begins_step |= step != CONVERSATION_NONE;
	}
	*ret_length = gathered->length;
	return out;
}

static void
begin(struct load_context *ctx, struct conn *conn, uint32_t passes, bool begins_step)
{
	struct talk *talk = talk_of(ctx, conn);
	if (begins_step)
		talk->step_ns = ctx->times.now_ns;
	if (ctx->talks->begins_when_due)
		return;
	for (; passes > 0; passes--, talk->granted--)
		accounting_started(ctx, conn, 1);
}

/* The socket took a part: says that part once more, with the player itself. */
static void
say_again(struct load_context *ctx, struct conn *conn, size_t length)
{
	struct talk *talk = talk_of(ctx, conn);
	while (length > 0) {
		uint16_t step = CONVERSATION_NONE;
		bool begins = false;
		size_t n = length;
		(void)player_output(&ctx->talks->side, &talk->player,
		    ctx->buffers.outgoing, &n, &step, &begins);
		begin(ctx, conn, begins, step != CONVERSATION_NONE);
		length -= n;
	}
}

static void
sent(struct load_context *ctx, struct conn *conn, size_t length)
{
	const struct gathered *gathered = &ctx->talks->gathered;
	struct talk *talk = talk_of(ctx, conn);
	counters_add(&ctx->counters->bytes_sent, length);
	talk->since_ns = ctx->times.now_ns;
	if (length == gathered->length) {
		talk->player = gathered->after;
		begin(ctx, conn, gathered->passes, gathered->begins_step);
		go_on(ctx, conn);
	} else {
		say_again(ctx, conn, length);
	}
	conn->send.at = talk->event == PLAYER_HAS_OUTPUT;
}

/* True if the player takes bytes now. Those of a pass in which the server speaks first
 * may come before the pass is due. */
static bool
is_hearing(const struct load_context *ctx, const struct talk *talk)
{
	switch ((enum player_event)talk->event) {
	case PLAYER_NEEDS_INPUT:
	case PLAYER_HAS_OUTPUT:
	case PLAYER_EXPECTS_CLOSE:
	case PLAYER_EXPECTS_RESET:
	case PLAYER_FINISHED:
		return talk->unheard == NULL;
	case PLAYER_IDLE:
		return talk->unheard == NULL && !ctx->talks->begins_when_due;
	default:
		return false;
	}
}

static void
received(
    struct load_context *ctx, struct conn *conn, const uint8_t *data, size_t length)
{
	struct talk *talk = talk_of(ctx, conn);
	size_t used = 0;
	if (talk->event == PLAYER_FINISHED && ctx->talks->begins_when_due)
		return;
	if (is_hearing(ctx, talk))
		used = hear(ctx, conn, data, length);
	if (used == length || talk->event == PLAYER_MISMATCH)
		return;
	if (buffer_append(&talk->unheard, data + used, length - used) < 0)
		xmalloc_fail();
	conn->is_held = true;
}

static enum traffic_request
request_of(enum player_event event)
{
	switch (event) {
	case PLAYER_OPENED:
		return TRAFFIC_OPENED;
	case PLAYER_HALF_CLOSE:
		return TRAFFIC_HALF_CLOSE;
	case PLAYER_CLOSE:
		return TRAFFIC_CLOSE;
	case PLAYER_RESET:
		return TRAFFIC_RESET;
	case PLAYER_FINISHED:
		return TRAFFIC_FINISHED;
	case PLAYER_MISMATCH:
		return TRAFFIC_MISMATCH;
	default:
		return TRAFFIC_NONE;
	}
}

static enum traffic_request
next(struct load_context *ctx, struct conn *conn)
{
	struct talk *talk = talk_of(ctx, conn);
	for (;;) {
		enum player_event event = (enum player_event)talk->event;
		enum traffic_request request = request_of(event);
		if (event == PLAYER_PAUSE) {
			if (ctx->times.now_ns < talk->resume_ns)
				return TRAFFIC_NONE;
			talk->since_ns = ctx->times.now_ns;
			go_on(ctx, conn);
			return TRAFFIC_RESUMED;
		}
		if (request == TRAFFIC_NONE || request >= TRAFFIC_FINISHED ||
		    !talk->is_requested) {
			talk->is_requested = true;
			return request;
		}
		go_on(ctx, conn);
	}
}

static bool
peer_ended(struct load_context *ctx, struct conn *conn, bool is_reset)
{
	const struct player_side *side = &ctx->talks->side;
	struct talk *talk = talk_of(ctx, conn);
	struct player_detail detail;
	enum player_event event = is_reset
	    ? player_reset_by_peer(side, &talk->player, &detail)
	    : player_end_of_input(side, &talk->player, &detail);
	if (event == PLAYER_MISMATCH)
		return false;
	go_on(ctx, conn);
	return true;
}

/* Input that is held is heard first: it may be all that the peer had to say. */
static void
end_pauses(struct load_context *ctx, struct conn *conn)
{
	struct talk *talk = talk_of(ctx, conn);
	talk->skips_pauses = true;
	talk->resume_ns = ctx->times.now_ns;
}

static void
end(struct load_context *ctx, struct conn *conn)
{
	(void)ctx;
	(void)conn;
}

static void
restart(struct load_context *ctx, struct conn *conn)
{
	struct talk *talk = talk_of(ctx, conn);
	conn->send.message = player_pass_said(&ctx->talks->side, &talk->player);
	conn->send.at = 0;
	conn->is_held = false;
	forget(talk);
	*talk = (struct talk){ .event = PLAYER_NEEDS_INPUT };
}

/* Passes are numbered by connection, not by round. */
static void
seek(struct load_context *ctx, struct conn *conn, uint64_t message)
{
	(void)ctx;
	(void)conn;
	(void)message;
}

/* A conversation file does not tell what a server counts as one message. */
static void
place(const struct load_context *ctx, const struct conn *conn, struct finding *ret)
{
	ret->last_message = ret->end = FINDING_NO_END;
	ret->offset = talk_of(ctx, conn)->player.received;
}

static void
outstanding(const struct load_context *ctx, const struct conn *conn,
    struct counters_lost_connection *ret)
{
	const struct talk *talk = talk_of(ctx, conn);
	ret->message = player_pass(&talk->player);
	if (ret->why == MESSAGE_LOSS_MISMATCH || talk->event == PLAYER_IDLE ||
	    talk->event == PLAYER_FINISHED)
		return;
	conversation_record_waiting(&ctx->talks->side, &talk->player, ret);
}

/* Passes that run ahead of their answers: the oldest has waited since it began. Else
 * the peer's turn is since this side spoke, or since a pass began in which the peer
 * speaks first. */
static uint64_t
waiting_since(const struct load_context *ctx, const struct conn *conn)
{
	const struct talk *talk = talk_of(ctx, conn);
	if (talk->event == PLAYER_IDLE || talk->event == PLAYER_PAUSE)
		return 0;
	if (conn->queue.head == MESSAGE_QUEUE_NONE)
		return talk->since_ns;
	uint64_t begun_ns =
	    message_queue_at(&ctx->message_pool, conn->queue.head)->written_ns;
	if (ctx->talks->side.runs_ahead && conn->in_flight > 0)
		return begun_ns;
	return begun_ns > talk->since_ns ? begun_ns : talk->since_ns;
}

static uint64_t
resume_ns(const struct load_context *ctx, const struct conn *conn)
{
	const struct talk *talk = talk_of(ctx, conn);
	return talk->event == PLAYER_PAUSE ? talk->resume_ns : TIMER_WHEEL_NEVER;
}

const struct traffic traffic_conversation = {
	.start = start,
	.finish = finish,
	.gather = gather,
	.sent = sent,
	.received = received,
	.end = end,
	.restart = restart,
	.seek = seek,
	.place = place,
	.outstanding = outstanding,
	.open = open_conversation,
	.close = close_conversation,
	.next = next,
	.peer_ended = peer_ended,
	.end_pauses = end_pauses,
	.waiting_since = waiting_since,
	.resume_ns = resume_ns,
};
