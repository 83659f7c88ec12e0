/*
 * far_end.h - what the far end says and does: a witness by its protocol
 * (proto/witness/witness.h), any other server by the bytes that come back.
 */
#ifndef CLIENT_PROBES_FAR_END_H
#define CLIENT_PROBES_FAR_END_H

#include "client/probes/survey_state.h"

#define FAR_END_PATIENCE_NS (3 * NS_PER_S) /* for a handshake */

/* How long to wait for an answer on this path. */
uint64_t far_end_patience(const struct survey *survey);

/* Opens a connection (open NULL: to the target, as usual) and waits until it is
 * established, and greeted if the far end is a witness: then *ret_view (NULL: not
 * needed) is its greeting. NULL if that fails; the reason was counted. */
struct survey_conn *far_end_open(struct survey *survey, const struct survey_open *open,
    struct witness_view *ret_view);
/* The second half of it, for a connection that has been opened. */
bool far_end_greet(
    struct survey *survey, struct survey_conn *conn, struct witness_view *ret_view);
/* A survey_open for the target, from the first source address if there are any. */
struct survey_open far_end_target(const struct survey *survey);

/* Sends a command; see witness.h. False if the socket did not take it. */
bool far_end_command(struct survey *survey, struct survey_conn *conn,
    enum witness_command_kind kind, uint32_t wait_ms, uint32_t bytes);
/* Waits for the answer to info, hold or keepalive. */
bool far_end_answer(struct survey *survey, struct survey_conn *conn,
    uint64_t timeout_ns, struct witness_answer *ret);
/* The record of a connection, asked for on another one. False if it is not known. */
bool far_end_ask(
    struct survey *survey, const struct survey_conn *conn, struct witness_answer *ret);
bool far_end_ask_id(struct survey *survey, const char *id, const char *instance,
    struct witness_answer *ret);

/* The first event of that kind; NULL: not found. */
const struct witness_event *far_end_event(
    const struct witness_record *record, enum witness_event_kind kind);

/* Sends a line and waits for what this far end does with it: a witness's record, an
 * echo, an answer; where nothing is ever said, the acknowledgement. */
bool far_end_is_alive(
    struct survey *survey, struct survey_conn *conn, uint64_t timeout_ns);
/* Sends what far_end_is_alive() waits for; for the ladder. */
bool far_end_speak(struct survey *survey, struct survey_conn *conn);

/* Finds out what answers at the target by one connection. */
void far_end_recognise(struct survey *survey);

#endif
