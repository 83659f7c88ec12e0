/*
 * survey_tls.h - TLS of the connections of a survey (--tls): every connection begins
 * with a handshake, and counts as established when that is over.
 */
#ifndef CLIENT_PROBES_SURVEY_TLS_H
#define CLIENT_PROBES_SURVEY_TLS_H

#include "client/plan/plan.h"
#include "client/probes/survey_loop.h"

struct survey_tls;

/* Checks the options of TLS in *plan, which has the target, and loads the files. NULL
 * with one line in error[PLAN_ERROR_MAX]. */
struct survey_tls *survey_tls_create(struct plan *plan, char *error);
void survey_tls_destroy(struct survey_tls *tls);

/* The socket is connected. */
void survey_tls_begin(struct survey_tls *tls, struct survey_conn *conn);
/* Continues the handshake: 1 when it is over, 0 while it waits, -1 with errno EPROTO.
 */
int survey_tls_shake(struct survey_tls *tls, struct survey_conn *conn);
/* Why the last handshake that failed did so: a sentence without full stop, or "". */
const char *survey_tls_failure(const struct survey_tls *tls);
/* Sends what an earlier send has left. */
void survey_tls_flush(struct survey_conn *conn);
/* True if receiving goes on without a new event. */
bool survey_tls_has_more(const struct survey_conn *conn);
/* Frees conn->tls; with a close_notify unless the connection is to be reset. */
void survey_tls_end(struct survey_conn *conn, bool says_goodbye);

#endif
