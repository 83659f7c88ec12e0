/*
 * talk_tls.h - TLS of yodel talk: one connection, which is waited for with poll(2).
 */
#ifndef CLIENT_COMMANDS_TALK_TLS_H
#define CLIENT_COMMANDS_TALK_TLS_H

#include <stdint.h>

#include "client/plan/plan.h"
#include "client/tls/tls_stream.h"

struct talk_tls {
	struct tls_stream *stream;
	struct tls_pool pool;
	struct counters_tls counts; /* not shown */
};

/* Shakes hands with the target of the plan (after tls_plan_check()) and prints on
 * stderr what was negotiated. NULL after one line on stderr. */
struct talk_tls *talk_tls_open(const struct plan *plan, int fd, uint64_t timeout_ns);
/* NULL is allowed. */
void talk_tls_close(struct talk_tls *tls);

/* One line on stderr after a call for the stream has failed with errno. */
void talk_tls_log_error(const struct talk_tls *tls, const char *target);

#endif
