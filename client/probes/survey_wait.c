/* The waits of survey_loop.h for something that a connection does. */
#include <string.h>

#include "client/probes/survey_loop.h"

static bool
is_settled(const void *argument)
{
	const struct survey_conn *conn = argument;
	return conn->state != SURVEY_CONN_CONNECTING;
}

bool
survey_conn_wait(
    struct survey_loop *loop, struct survey_conn *conn, uint64_t timeout_ns)
{
	return conn != NULL && survey_loop_wait(loop, timeout_ns, is_settled, conn) &&
	    conn->state == SURVEY_CONN_OPEN;
}

struct wait_for {
	const struct survey_conn *conn;
	uint64_t bytes;
};

static bool
has_bytes(const void *argument)
{
	const struct wait_for *wait = argument;
	return wait->conn->received >= wait->bytes || survey_conn_has_ended(wait->conn);
}

bool
survey_conn_wait_bytes(struct survey_loop *loop, struct survey_conn *conn,
    uint64_t bytes, uint64_t timeout_ns)
{
	const struct wait_for wait = { conn, bytes };
	return survey_loop_wait(loop, timeout_ns, has_bytes, &wait) &&
	    conn->received >= bytes;
}

static const uint8_t *
line_end(const struct survey_conn *conn)
{
	if (conn->input == NULL)
		return NULL;
	return memchr(
	    conn->input->data + conn->input->start, '\n', buffer_length(conn->input));
}

static bool
has_line(const void *argument)
{
	const struct survey_conn *conn = argument;
	return line_end(conn) != NULL || survey_conn_has_ended(conn);
}

bool
survey_conn_take_line(struct survey_conn *conn, char *line, size_t size)
{
	const uint8_t *end = line_end(conn);
	if (end == NULL)
		return false;
	const uint8_t *from = conn->input->data + conn->input->start;
	size_t length = (size_t)(end - from), copied = length;
	if (copied > size - 1)
		copied = size - 1;
	memcpy(line, from, copied);
	line[copied] = '\0';
	buffer_consume(&conn->input, length + 1);
	return true;
}

bool
survey_conn_wait_line(struct survey_loop *loop, struct survey_conn *conn, char *line,
    size_t size, uint64_t timeout_ns)
{
	return survey_loop_wait(loop, timeout_ns, has_line, conn) &&
	    survey_conn_take_line(conn, line, size);
}

static bool
has_ended(const void *argument)
{
	const struct survey_conn *conn = argument;
	return survey_conn_has_ended(conn);
}

bool
survey_conn_wait_end(
    struct survey_loop *loop, struct survey_conn *conn, uint64_t timeout_ns)
{
	return survey_loop_wait(loop, timeout_ns, has_ended, conn);
}
