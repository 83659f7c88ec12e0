/* Messages as in traffic_messages, and answers of the reply whoami: each must name the
 * client that this socket is, or that was announced for it. */
#include <sys/socket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/buffer.h"
#include "lib/clock.h"
#include "lib/units.h"
#include "lib/xmalloc.h"
#include "proto/whoami.h"
#include "client/load/accounting.h"
#include "client/load/outage_watch.h"
#include "client/load/traffic.h"
#include "client/plan/proxy_plan.h"

#define NO_SERVER (-1)

/* One connection. */
struct asker {
	struct buffer *partial; /* of an answer */
	/* That the server is to see: of the socket, or announced. */
	struct address_compact expected;
	struct address_compact seen; /* in the first answer */
	int16_t server;              /* of this connection */
	int16_t last_server;         /* of the one that it replaces */
	bool is_known;               /* the first answer has come */
};

static struct asker *
asker_of(const struct load_context *ctx, const struct conn *conn)
{
	return &ctx->askers[conn_state_index(ctx, conn)];
}

static struct counters_seen *
seen_of(const struct load_context *ctx, const struct conn *conn)
{
	return &ctx->control_block
		    ->seen[conn_state_number(ctx, conn) - ctx->plan->rank_first];
}

static bool
is_same(const struct address_compact *a, const struct address_compact *b)
{
	return a->family == b->family && a->port == b->port &&
	    memcmp(a->bytes, b->bytes, a->family == AF_INET ? 4 : 16) == 0;
}

/* IPv4-mapped IPv6 addresses are those of IPv4. */
static void
unmap(struct address_compact *address)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	if (address->family != AF_INET6 ||
	    memcmp(address->bytes, mapped, sizeof(mapped)) != 0)
		return;
	memmove(address->bytes, address->bytes + sizeof(mapped), 4);
	memset(address->bytes + 4, 0, 12);
	address->family = AF_INET;
}

static void
set_expected(
    const struct load_context *ctx, const struct conn *conn, struct asker *asker)
{
	struct address own = { .length = sizeof(own.storage) }, source;
	if (getsockname(conn->stream.fd, (struct sockaddr *)&own.storage, &own.length) <
	    0)
		return;
	if (address_is_unix(&own)) {
		own.length = sizeof(sa_family_t);
		own.process = (struct address_process){
			.pid = (uint32_t)getpid(), .uid = geteuid(), .gid = getegid()
		};
	}
	source = own;
	if (ctx->plan->proxy_version != PROXY_OFF)
		proxy_plan_source(
		    ctx->plan, conn_state_number(ctx, conn), &own, &source);
	address_compact(&source, &asker->expected);
	unmap(&asker->expected);
}

/* One of the first wrong answers. */
static void
record_wrong(const struct load_context *ctx, const struct conn *conn, const char *what,
    const struct address_compact *expected, const struct address_compact *found)
{
	struct counters *counters = ctx->counters;
	char texts[2][ADDRESS_TEXT_MAX];
	uint32_t n = atomic_load_explicit(&counters->mismatches, memory_order_relaxed);
	if (n >= COUNTERS_MISMATCHES_MAX)
		return;
	struct counters_mismatch *out = &counters->mismatch[n];
	*out = (struct counters_mismatch){
		.connection = conn_state_number(ctx, conn),
		.message = conn->sent_on_connection - conn->in_flight,
	};
	snprintf(out->looks_like, sizeof(out->looks_like), "%s", what);
	if (found == NULL)
		snprintf(out->description, sizeof(out->description),
		    "expected a line of JSON with instance and client");
	else
		snprintf(out->description, sizeof(out->description),
		    "expected %s, found %s", address_format_compact(expected, texts[0]),
		    address_format_compact(found, texts[1]));
	units_format_time(clock_realtime_ns(), 3, out->at);
	address_format_local(conn->stream.fd, out->local);
	atomic_store_explicit(&counters->mismatches, n + 1, memory_order_release);
}

/* The first answer on a connection. */
static void
meet(struct load_context *ctx, struct conn *conn, struct asker *asker,
    const struct whoami_view *view)
{
	struct counters_whoami *whoami = &ctx->counters->whoami;
	struct counters_seen *seen = seen_of(ctx, conn);
	bool is_kept = view->client.port == asker->expected.port;
	asker->is_known = true;
	asker->seen = view->client;
	asker->server =
	    (int16_t)counters_server_index(ctx->control_block, view->instance);
	counters_add(&whoami->connections, 1);
	if (!is_same(&view->client, &asker->expected)) {
		counters_add(&whoami->translated, 1);
		counters_add(&whoami->ports_kept, is_kept);
	}
	counters_add(&whoami->headers, view->has_header);
	if (asker->last_server != NO_SERVER) {
		counters_add(&whoami->reconnected, 1);
		counters_add(&whoami->stayed, asker->last_server == asker->server);
	}
	if (asker->server != NO_SERVER) {
		outage_watch_server(ctx, conn, asker->server);
		counters_add(&ctx->counters->servers[asker->server].connections, 1);
	}
	seen->closed_ns = 0;
	seen->opened_ns = ctx->times.now_ns;
	seen->outside = view->client;
}

/* Whether the answer names this very connection. */
static bool
names_us(struct load_context *ctx, struct conn *conn, struct asker *asker,
    const struct whoami_view *view)
{
	const struct address_compact *expected = &asker->expected;
	static const struct address_compact none = { .family = AF_INET };
	if (ctx->plan->expect_proxy) {
		const struct address_compact *source =
		    view->has_header ? &view->source : &none;
		if (view->has_header && is_same(source, expected))
			return true;
		record_wrong(ctx, conn,
		    view->has_header ? "the PROXY header names another client"
				     : "no PROXY header announces a client",
		    expected, source);
		return false;
	}
	if (ctx->plan->proxy_version != PROXY_OFF &&
	    !is_same(&view->client, expected)) {
		record_wrong(ctx, conn, "the server sees another client than announced",
		    expected, &view->client);
		return false;
	}
	if (is_same(&view->client, &asker->seen))
		return true;
	record_wrong(ctx, conn, "the answer names the client of another connection",
	    &asker->seen, &view->client);
	return false;
}

static bool
check(struct load_context *ctx, struct conn *conn, const char *line, size_t length)
{
	struct asker *asker = asker_of(ctx, conn);
	struct whoami_view view;
	if (!whoami_read(line, length, &view)) {
		record_wrong(ctx, conn, "no answer of whoami", NULL, NULL);
		return false;
	}
	unmap(&view.client);
	unmap(&view.source);
	if (!asker->is_known) {
		set_expected(ctx, conn, asker);
		meet(ctx, conn, asker, &view);
	}
	return names_us(ctx, conn, asker, &view);
}

static void
answered(struct load_context *ctx, struct conn *conn, bool is_right)
{
	const struct asker *asker = asker_of(ctx, conn);
	const struct queued_message *message =
	    message_queue_at(&ctx->message_pool, conn->queue.head);
	if (asker->server != NO_SERVER) {
		uint64_t since_ns = message->intended_ns;
		if (is_right && since_ns >= ctx->times.measure_ns)
			accounting_record(ctx,
			    (enum latency_kind)(LATENCY_STEP_FIRST + asker->server),
			    ctx->times.now_ns - since_ns);
		counters_add(&ctx->counters->servers[asker->server].messages, 1);
	}
	accounting_answered(ctx, conn, is_right, ctx->times.now_ns);
}

/* The whole answers in data[length]; returns the bytes used. */
static size_t
take_answers(
    struct load_context *ctx, struct conn *conn, const uint8_t *data, size_t length)
{
	/* In a stream, too, an answer is a line. */
	enum framing framing =
	    ctx->plan->framing == FRAMING_LENGTH32 ? FRAMING_LENGTH32 : FRAMING_LINE;
	size_t used = 0;
	struct frame frame;
	while (conn->in_flight > 0) {
		const uint8_t *at = data + used;
		enum frame_status status = framings[framing].next(
		    at, length - used, 0, 2 * (size_t)WHOAMI_MAX, &frame);
		if (status == FRAME_PARTIAL)
			return used;
		bool is_right = status == FRAME_WHOLE &&
		    check(ctx, conn, (const char *)at + frame.header, frame.payload);
		if (status == FRAME_TOO_LONG)
			record_wrong(ctx, conn, "no answer of whoami", NULL, NULL);
		answered(ctx, conn, is_right);
		if (status == FRAME_TOO_LONG)
			return length;
		used += frame_length(&frame);
	}
	counters_add(&ctx->counters->bytes_unexpected, length - used);
	return length;
}

static void
received(
    struct load_context *ctx, struct conn *conn, const uint8_t *data, size_t length)
{
	struct asker *asker = asker_of(ctx, conn);
	if (asker->partial == NULL) {
		size_t used = take_answers(ctx, conn, data, length);
		if (buffer_append(&asker->partial, data + used, length - used) < 0)
			xmalloc_fail();
		return;
	}
	if (buffer_append(&asker->partial, data, length) < 0)
		xmalloc_fail();
	struct buffer *all = asker->partial;
	buffer_consume(&asker->partial,
	    take_answers(ctx, conn, all->data + all->start, buffer_length(all)));
}

static void
end(struct load_context *ctx, struct conn *conn)
{
	struct asker *asker = asker_of(ctx, conn);
	if (asker->is_known)
		seen_of(ctx, conn)->closed_ns = ctx->times.now_ns;
	if (asker->server != NO_SERVER)
		counters_add(
		    &ctx->counters->servers[asker->server].lost, conn->in_flight);
}

static void
seek(struct load_context *ctx, struct conn *conn, uint64_t message)
{
	sequence_seek(
	    ctx->sequence, conn_state_number(ctx, conn), &conn->send, message);
}

static void
restart(struct load_context *ctx, struct conn *conn)
{
	struct asker *asker = asker_of(ctx, conn);
	buffer_release(&asker->partial);
	if (asker->is_known)
		asker->last_server = asker->server;
	asker->server = NO_SERVER;
	asker->is_known = false;
	seek(ctx, conn, conn->send.message + (conn->send.at > 0 ? 1 : 0));
}

/* How long the answers should have been is not known. */
static void
place(const struct load_context *ctx, const struct conn *conn, struct finding *ret)
{
	(void)ctx;
	ret->message = conn->sent_on_connection - conn->in_flight;
	ret->last_message =
	    conn->in_flight > 0 ? conn->sent_on_connection - 1 : ret->message;
	ret->end = FINDING_NO_END;
}

static void
outstanding(const struct load_context *ctx, const struct conn *conn,
    struct counters_lost_connection *ret)
{
	const struct asker *asker = asker_of(ctx, conn);
	if (conn->in_flight == 0)
		return;
	ret->message = conn->send.message - conn->in_flight;
	ret->answer_bytes = buffer_length(asker->partial);
	snprintf(ret->waiting, sizeof(ret->waiting), "a line of whoami%s%s",
	    asker->server != NO_SERVER ? " of " : "",
	    asker->server != NO_SERVER ? ctx->control_block->server_names[asker->server]
				       : "");
}

static void
start(struct load_context *ctx)
{
	ctx->askers = xcalloc(ctx->count, sizeof(*ctx->askers));
	for (uint32_t i = 0; i < ctx->count; i++)
		ctx->askers[i].server = ctx->askers[i].last_server = NO_SERVER;
}

static void
finish(struct load_context *ctx)
{
	for (uint32_t i = 0; i < ctx->count; i++)
		buffer_release(&ctx->askers[i].partial);
	free(ctx->askers);
}

const struct traffic traffic_whoami = {
	.start = start,
	.finish = finish,
	.gather = traffic_messages_gather,
	.sent = traffic_messages_sent,
	.received = received,
	.end = end,
	.restart = restart,
	.seek = seek,
	.place = place,
	.outstanding = outstanding,
};
