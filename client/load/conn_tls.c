#include "client/load/conn_tls.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/units.h"
#include "lib/xmalloc.h"
#include "client/load/accounting.h"
#include "client/load/transcript.h"
#include "client/measure/tls_counts.h"
#include "client/plan/tls_plan.h"

/* Certificates are described of the first handshakes with a target, and of some later
 * ones, because servers behind a balancer may have different certificates. */
#define DESCRIBED_FIRST 8
#define DESCRIBED_STRIDE 64
#define CHAIN_MAX 4 /* certificates */

_Static_assert(LOAD_BUFFER_BYTES == TLS_POOL_BYTES, "they take each other's place");

/* Memory per idle TLS connection: with its timer and its places in two lists. What is
 * left to 600 bytes is for the record of a message and for the rest of the heap. */
_Static_assert(sizeof(struct conn) + sizeof(struct timer_wheel_entry) +
	    2 * sizeof(uint32_t) + sizeof(struct tls_stream) <=
	544,
    "an idle TLS connection takes at most 544 bytes");

void
conn_tls_init(struct load_context *ctx)
{
	uint32_t targets = ctx->plan->target_count;
	if (!ctx->plan->tls)
		return;
	ctx->tls = xcalloc(1, sizeof(*ctx->tls));
	ctx->tls->ctx = ctx;
	ctx->tls->described = xcalloc(targets, sizeof(ctx->tls->described[0]));
	uint32_t identities = tls_plan_identities(ctx->plan);
	tls_pool_init(&ctx->tls->pool, &ctx->counters->tls, targets * identities,
	    identities < TLS_POOL_TICKETS_MAX ? TLS_POOL_TICKETS_MAX / identities : 1);
	ctx->buffers.received = ctx->tls->pool.incoming;
	/* A transcript shows what was sent, which sealing in place overwrites. */
	if (!ctx->plan->transcript)
		ctx->buffers.outgoing = ctx->tls->pool.outgoing;
}

void
conn_tls_finish(struct load_context *ctx)
{
	if (ctx->tls == NULL)
		return;
	for (uint32_t i = 0; i < ctx->count; i++)
		tls_stream_destroy(ctx->conns[i].tls);
	tls_pool_finish(&ctx->tls->pool);
	free(ctx->tls->described);
	free(ctx->tls);
	ctx->tls = NULL;
}

void
conn_tls_on_connected(const struct load_context *ctx)
{
	if (ctx->tls != NULL)
		malloc_trim(0);
}

void
conn_tls_sweep(struct load_context *ctx)
{
	if (ctx->tls == NULL)
		return;
	tls_pool_sweep(&ctx->tls->pool);
	(void)heap_trim_check(
	    &ctx->tls->heap_trim, (uint32_t)(ctx->times.now_ns / NS_PER_MS));
}

static struct conn *
conn_of(const struct stream *stream)
{
	return (struct conn *)(void *)((char *)stream - offsetof(struct conn, stream));
}

static struct load_context *
context_of(const struct conn *conn)
{
	return ((struct load_tls *)(void *)conn->tls->pool)->ctx;
}

/* The socket, or what was read of it, may have more, but no event will tell. */
static void
read_again(struct load_context *ctx, struct conn *conn)
{
	if (ctx->plan->slow_read == 0 || !conn_state_talks(conn)) {
		conn_state_enqueue_ready(ctx, conn);
		return;
	}
	conn->is_paused = true;
	conn_state_set_timer(ctx, conn);
}

static ssize_t
receive(struct conn *conn, void *data, size_t size, uint64_t *ret_waited_ns)
{
	ssize_t n =
	    tls_stream_receive(conn->tls, conn->stream.fd, data, size, ret_waited_ns);
	int error = errno;
	if (conn->tls->has_more && (n > 0 || (n < 0 && error == EAGAIN)))
		read_again(context_of(conn), conn);
	errno = error;
	return n;
}

static ssize_t
tls_receive(const struct stream *stream, void *data, size_t size)
{
	return receive(conn_of(stream), data, size, NULL);
}

static ssize_t
tls_receive_timed(
    const struct stream *stream, void *data, size_t size, uint64_t *ret_waited_ns)
{
	return receive(conn_of(stream), data, size, ret_waited_ns);
}

static ssize_t
tls_send(const struct stream *stream, const void *data, size_t length)
{
	struct conn *conn = conn_of(stream);
	ssize_t n = tls_stream_send(conn->tls, stream->fd, data, length);
	conn->is_blocked = tls_stream_has_output(conn->tls);
	return n;
}

static int
tls_finish(const struct stream *stream)
{
	struct conn *conn = conn_of(stream);
	int rc = tls_stream_finish(conn->tls, stream->fd);
	conn->is_blocked = tls_stream_has_output(conn->tls);
	return rc;
}

static const struct transport transport_tls = {
	.name = "tls",
	.receive = tls_receive,
	.send = tls_send,
	.receive_timed = tls_receive_timed,
	.finish = tls_finish,
};

/* --tls-resume: every connection, or evenly spread ones. */
static bool
takes_turn(struct load_tls *tls, uint64_t percent)
{
	tls->resume_percent += (uint32_t)percent;
	if (tls->resume_percent < 100)
		return false;
	tls->resume_percent -= 100;
	return true;
}

void
conn_tls_begin(struct load_context *ctx, struct conn *conn)
{
	const struct plan *plan = ctx->plan;
	uint64_t number = conn_state_number(ctx, conn);
	uint32_t target = (uint32_t)(number % plan->target_count);
	uint32_t identities = tls_plan_identities(plan);
	bool is_offered;
	struct tls_stream_args args = {
		.pool = &ctx->tls->pool,
		.context = plan->tls_plan->context,
		/* A session has the certificate of the connection that began it. */
		.group = target * identities + (uint32_t)(number % identities),
		.name = tls_plan_name(plan, target),
		.identity = tls_plan_identity(plan, number),
		.resumes = takes_turn(ctx->tls, plan->tls_resume),
		.keeps_ticket = plan->tls_resume > 0,
		.dribbles = plan->dribble,
	};
	conn->tls = tls_stream_create(&args, &is_offered);
	if (is_offered)
		counters_add(&ctx->counters->tls.offered, 1);
}

static void
count_text(struct load_context *ctx, enum counters_tls_kind kind, const char *text)
{
	tls_counts_add(ctx->control_block, ctx->counters, kind, text);
}

static void
add_certificate(struct load_context *ctx, uint32_t target, uint32_t position,
    const struct tls_certificate *from)
{
	struct counters_certificate certificate = {
		.target = target,
		.position = position,
		.not_before = from->not_before,
		.not_after = from->not_after,
	};
	snprintf(certificate.subject, sizeof(certificate.subject), "%.*s",
	    COUNTERS_TLS_TEXT_MAX - 1, from->subject);
	snprintf(certificate.issuer, sizeof(certificate.issuer), "%.*s",
	    COUNTERS_TLS_TEXT_MAX - 1, from->issuer);
	snprintf(certificate.names, sizeof(certificate.names), "%.*s",
	    2 * COUNTERS_TLS_TEXT_MAX - 1, from->names);
	snprintf(certificate.key, sizeof(certificate.key), "%.*s", UNITS_TEXT_MAX - 1,
	    from->key);
	tls_sha256_format(from->sha256, certificate.sha256);
	tls_counts_add_certificate(ctx->control_block, &certificate);
}

static void
describe_chain(struct load_context *ctx, const struct conn *conn)
{
	uint32_t target =
	    (uint32_t)(conn_state_number(ctx, conn) % ctx->plan->target_count);
	uint32_t handshakes = ctx->tls->described[target]++;
	struct tls_certificate certificate;
	if (handshakes >= DESCRIBED_FIRST && handshakes % DESCRIBED_STRIDE != 0)
		return;
	for (uint32_t i = 0; i < CHAIN_MAX &&
	     tls_handshake_certificate(conn->tls->handshake, i, &certificate);
	     i++)
		add_certificate(ctx, target, i, &certificate);
}

static void
count_facts(
    struct load_context *ctx, const struct conn *conn, const struct tls_facts *facts)
{
	struct counters_tls *counts = &ctx->counters->tls;
	char line[256];
	counters_add(&counts->handshakes, 1);
	counters_add(&counts->resumed, facts->is_resumed);
	count_text(ctx, COUNTERS_TLS_VERSION, tls_version_name(facts->version));
	count_text(ctx, COUNTERS_TLS_CIPHER, facts->suite);
	if (facts->group[0] != '\0')
		count_text(ctx, COUNTERS_TLS_GROUP, facts->group);
	if (facts->alpn[0] != '\0')
		count_text(ctx, COUNTERS_TLS_PROTOCOL, facts->alpn);
	if (!facts->is_resumed)
		describe_chain(ctx, conn);
	if (ctx->transcript == NULL)
		return;
	snprintf(line, sizeof(line), "%s, %s, %s%s", tls_version_name(facts->version),
	    facts->suite, facts->is_resumed ? "resumed" : "full handshake",
	    facts->is_verified ? "" : ", certificate not verified against a CA");
	transcript_event(ctx, conn, line);
}

static void
count_failure(struct load_context *ctx, const struct conn *conn)
{
	struct tls_failure_facts failure;
	char line[COUNTERS_TLS_TEXT_MAX];
	tls_handshake_failure(conn->tls->handshake, &failure);
	count_text(ctx, COUNTERS_TLS_FAILURE, failure.reason);
	if (failure.alert_sent >= 0) {
		snprintf(line, sizeof(line), "sent %s",
		    tls_alert_name((unsigned)failure.alert_sent));
		count_text(ctx, COUNTERS_TLS_ALERT, line);
	}
	if (failure.alert_received >= 0) {
		snprintf(line, sizeof(line), "received %s",
		    tls_alert_name((unsigned)failure.alert_received));
		count_text(ctx, COUNTERS_TLS_ALERT, line);
	}
	describe_chain(ctx, conn);
	snprintf(line, sizeof(line), "TLS handshake failed: %.*s",
	    (int)sizeof(line) - 32, failure.reason);
	transcript_event(ctx, conn, line);
}

enum tls_stream_status
conn_tls_shake(struct load_context *ctx, struct conn *conn)
{
	struct tls_facts facts;
	enum tls_stream_status status = tls_stream_shake(conn->tls, conn->stream.fd);
	if (status == TLS_STREAM_WAIT)
		return status;
	ctx->times.now_ns = clock_now_ns();
	if (status == TLS_STREAM_FAILED) {
		count_failure(ctx, conn);
		return status;
	}
	tls_handshake_facts(conn->tls->handshake, &facts);
	accounting_record(ctx,
	    facts.is_resumed ? LATENCY_TLS_RESUMED : LATENCY_TLS_HANDSHAKE,
	    ctx->times.now_ns - conn->state_since_ns);
	count_facts(ctx, conn, &facts);
	tls_stream_settle(conn->tls);
	conn->stream.transport = &transport_tls;
	return status;
}

void
conn_tls_timed_out(struct load_context *ctx, struct conn *conn)
{
	static const char reason[] = "no answer in the handshake in time";
	count_text(ctx, COUNTERS_TLS_FAILURE, reason);
	transcript_event(ctx, conn, reason);
}

bool
conn_tls_has_failed(const struct conn *conn)
{
	return conn->tls != NULL &&
	    (conn->tls->end == TLS_STREAM_ALERT || conn->tls->end == TLS_STREAM_BAD);
}

static void
count_end(struct load_context *ctx, const struct tls_stream *stream)
{
	char line[COUNTERS_TLS_TEXT_MAX];
	if (stream->end == TLS_STREAM_ALERT)
		snprintf(line, sizeof(line), "the peer sent the alert %s",
		    tls_alert_name(stream->alert));
	else if (stream->end == TLS_STREAM_BAD)
		snprintf(
		    line, sizeof(line), "bad record from the peer: %s", stream->reason);
	else
		return;
	count_text(ctx, COUNTERS_TLS_ERROR, line);
}

void
conn_tls_destroy(struct load_context *ctx, struct conn *conn, bool says_goodbye)
{
	if (conn->tls == NULL)
		return;
	if (says_goodbye && conn->tls->is_ready)
		tls_stream_say_goodbye(conn->tls, conn->stream.fd);
	count_end(ctx, conn->tls);
	tls_stream_destroy(conn->tls);
	conn->tls = NULL;
}
