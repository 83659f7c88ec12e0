/*
 * connection_answer.h - the answers of a connection: hands the bytes that were read to
 * the responder (responder.h) or plays the conversation with them, sends the replies or
 * queues them. connection_io.c calls it between crash_record_begin() and
 * crash_record_commit().
 *
 * A function that returns false, or ANSWER_CLOSED, has closed the connection.
 */
#ifndef WORKER_CONNECTION_ANSWER_H
#define WORKER_CONNECTION_ANSWER_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct connection;

enum answer_status {
	ANSWER_CLOSED, /* the connection is closed */
	ANSWER_SENT,   /* bytes were sent, or wait in the output */
	ANSWER_NOTHING_SENT,
};

/* Sends data, or queues what the kernel does not take; `replies` replies end in it. */
bool connection_answer_send(struct connection *connection, const uint8_t *data,
    size_t length, uint64_t replies);
/* Sends queued bytes. How many the kernel took, or -1 with the connection closed. */
ssize_t connection_answer_send_queued(
    struct connection *connection, const uint8_t *data, size_t length);

/* Answers new bytes; keeps a partial message, and input that must wait for the output.
 * Not for the bytewise path, which needs neither its locals nor their stack protector.
 */
enum answer_status connection_answer_new(
    struct connection *connection, const uint8_t *data, size_t length);
/* Answers the messages in the input. */
bool connection_answer_kept(struct connection *connection);
/* Plays a conversation with the bytes that wait in the input, then with data[length],
 * and, if `is_end`, with the end of the peer's stream. */
bool connection_answer_play(
    struct connection *connection, const uint8_t *data, size_t length, bool is_end);
/* Answers the input of a connection whose worker died while it processed that. A
 * partial message is completed by the next read. */
bool connection_answer_replay(struct connection *connection);
/* True if the replies to all input that was read have been made. */
bool connection_answer_is_complete(const struct connection *connection);

/* Begins a conversation, whose first bytes are the input so far; then call
 * connection_io_replay(). */
bool connection_answer_begin_session(struct connection *connection)
    __attribute__((warn_unused_result));
/* The peer's stream has ended. May close the connection. */
void connection_answer_end(struct connection *connection);
/* A reset may be the end of a pass of a conversation. */
void connection_answer_reset(const struct connection *connection);

#endif
