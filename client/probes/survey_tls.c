#include "client/probes/survey_tls.h"

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/xmalloc.h"
#include "client/plan/tls_plan.h"
#include "client/tls/tls_stream.h"

struct survey_tls {
	struct tls_pool pool;
	struct counters_tls counts; /* of the pool; not shown */
	struct plan *plan;
	char failure[256];
};

struct survey_tls *
survey_tls_create(struct plan *plan, char *error)
{
	if (tls_plan_check(plan, error) != 0) {
		tls_plan_finish(plan);
		return NULL;
	}
	struct survey_tls *tls = xcalloc(1, sizeof(*tls));
	tls->plan = plan;
	tls_pool_init(&tls->pool, &tls->counts, 1, TLS_POOL_TICKETS_MAX);
	return tls;
}

void
survey_tls_destroy(struct survey_tls *tls)
{
	if (tls == NULL)
		return;
	tls_pool_finish(&tls->pool);
	tls_plan_finish(tls->plan);
	free(tls);
}

static struct survey_conn *
conn_of(const struct stream *stream)
{
	return (struct survey_conn *)(void *)((const char *)stream -
	    offsetof(struct survey_conn, stream));
}

static ssize_t
tls_receive(const struct stream *stream, void *data, size_t size)
{
	return tls_stream_receive(conn_of(stream)->tls, stream->fd, data, size, NULL);
}

static ssize_t
tls_receive_timed(
    const struct stream *stream, void *data, size_t size, uint64_t *ret_waited_ns)
{
	return tls_stream_receive(
	    conn_of(stream)->tls, stream->fd, data, size, ret_waited_ns);
}

static ssize_t
tls_send(const struct stream *stream, const void *data, size_t length)
{
	return tls_stream_send(conn_of(stream)->tls, stream->fd, data,
	    length < TLS_POOL_BYTES ? length : TLS_POOL_BYTES);
}

static int
tls_finish(const struct stream *stream)
{
	return tls_stream_finish(conn_of(stream)->tls, stream->fd);
}

static const struct transport transport_tls = {
	.name = "tls",
	.receive = tls_receive,
	.send = tls_send,
	.receive_timed = tls_receive_timed,
	.finish = tls_finish,
};

void
survey_tls_begin(struct survey_tls *tls, struct survey_conn *conn)
{
	bool is_offered;
	const struct tls_stream_args args = {
		.pool = &tls->pool,
		.context = tls->plan->tls_plan->context,
		.name = tls_plan_name(tls->plan, 0),
		.identity = tls_plan_identity(tls->plan, 0),
	};
	conn->tls = tls_stream_create(&args, &is_offered);
}

static void
note_failure(struct survey_tls *tls, const struct survey_conn *conn)
{
	struct tls_failure_facts facts;
	tls_handshake_failure(conn->tls->handshake, &facts);
	/* A port without TLS sends other bytes, returns ours, or closes. */
	const char *advice = facts.kind == TLS_FAILURE_NOT_TLS ? ": leave out --tls"
	    : facts.kind == TLS_FAILURE_CUT || facts.kind == TLS_FAILURE_PROTOCOL
	    ? ": is it a port without TLS?"
	    : "";
	snprintf(tls->failure, sizeof(tls->failure), "%.200s%s", facts.reason, advice);
}

const char *
survey_tls_failure(const struct survey_tls *tls)
{
	return tls->failure;
}

int
survey_tls_shake(struct survey_tls *tls, struct survey_conn *conn)
{
	switch (tls_stream_shake(conn->tls, conn->stream.fd)) {
	case TLS_STREAM_WAIT:
		return 0;
	case TLS_STREAM_READY:
		tls_stream_settle(conn->tls);
		conn->stream.transport = &transport_tls;
		return 1;
	default:
		note_failure(tls, conn);
		errno = EPROTO;
		return -1;
	}
}

void
survey_tls_flush(struct survey_conn *conn)
{
	if (conn->tls != NULL && tls_stream_has_output(conn->tls))
		(void)tls_stream_flush(conn->tls, conn->stream.fd);
}

bool
survey_tls_has_more(const struct survey_conn *conn)
{
	return conn->tls != NULL && (conn->tls->has_more || conn->tls->has_read);
}

void
survey_tls_end(struct survey_conn *conn, bool says_goodbye)
{
	if (conn->tls == NULL)
		return;
	if (says_goodbye && conn->tls->is_ready)
		tls_stream_say_goodbye(conn->tls, conn->stream.fd);
	tls_stream_destroy(conn->tls);
	conn->tls = NULL;
}
