/*
 * survey_loop.h - the connections of a survey and the one epoll loop that serves them.
 *
 * A probe is a sequence of steps that reads like its method: open, send, wait for a
 * line, wait for an end. Each wait runs the loop, so that the connections of the idle
 * ladder are served meanwhile by their callbacks. No wait outlasts the end of the
 * survey or an interrupt: every function below then returns at once, and what was being
 * waited for has not happened.
 *
 * New connections are paced (SURVEY_PACE_PER_S), except where a probe asks for many at
 * once.
 */
#ifndef CLIENT_PROBES_SURVEY_LOOP_H
#define CLIENT_PROBES_SURVEY_LOOP_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buffer.h"
#include "lib/clock.h"
#include "net/address.h"
#include "net/transport.h"
#include "client/schedule/timer_wheel.h"

#define SURVEY_PACE_PER_S 16
#define SURVEY_PACE_BURST 4
#define SURVEY_INPUT_MAX 262144U /* bytes that are kept of a connection */

struct survey_tls;
struct tls_stream;

enum survey_conn_state {
	SURVEY_CONN_FREE,
	SURVEY_CONN_CONNECTING,
	SURVEY_CONN_OPEN,
	SURVEY_CONN_FAILED, /* never established: error */
};

struct survey_conn {
	enum survey_conn_state state;
	struct stream stream;
	struct tls_stream *tls; /* NULL without --tls, and until it is connected */
	int error;              /* of connect(2), or ECONNRESET and the like later */
	uint64_t opened_ns;     /* connect(2) */
	uint64_t connected_ns;  /* 0: not */
	uint64_t first_ns;      /* the first byte; 0: none */
	uint64_t last_ns;       /* the last event: established, bytes */
	uint64_t eof_ns;        /* the peer's FIN; 0: none */
	uint64_t error_ns;      /* the reset or other error; 0: none */
	uint64_t received;      /* bytes */
	uint64_t sent;          /* bytes that the kernel took, without a PROXY header */
	bool is_paused;         /* is not read from */
	bool counts_only;       /* bytes are counted and not kept */
	bool may_fail;          /* as in struct survey_open */
	struct buffer *input;
	char id[40], instance[65]; /* of the greeting of a witness; "" */
	/* For the ladder: called after an event and when the timer expires; may close
	 * the connection. NULL: a probe waits for it. */
	void (*on_event)(void *owner, struct survey_conn *conn);
	void (*on_timer)(void *owner, struct survey_conn *conn);
	void *owner;
};

struct survey_loop {
	int epoll_fd, signal_fd;
	sigset_t signals_before; /* the mask that survey_loop_finish() restores */
	uint64_t now_ns;
	uint64_t end_ns; /* of the survey */
	bool is_interrupted;
	struct survey_conn *conns;
	uint32_t capacity; /* of conns; and the most that may be open */
	uint32_t open;
	struct timer_wheel timers;
	double tokens;
	uint64_t tokens_ns;   /* time of `tokens` */
	uint64_t left;        /* connections that may still be opened */
	uint64_t connections; /* opened so far */
	uint32_t open_most;
	uint64_t bytes;               /* sent and received */
	uint32_t refused, unanswered; /* outside of the limit probes */
	uint64_t connect_ns;          /* slowest handshake of the last ones: decays */
	struct survey_tls *tls;       /* NULL: no TLS */
	/* Writes the PROXY header of --proxy-protocol into out[PROXY_HEADER_MAX]. */
	size_t (*header)(const struct survey_loop *loop, int fd, uint8_t *out);
	const void *header_argument;
};

/* The loop and its signals: SIGINT and SIGTERM end every wait. 0, or -1 with errno. */
int survey_loop_init(struct survey_loop *loop, uint32_t capacity, uint64_t connections,
    uint64_t end_ns) __attribute__((warn_unused_result));
/* From here on a signal has its usual effect. */
void survey_loop_finish(struct survey_loop *loop);

/* True when nothing more may begin. */
static inline bool
survey_loop_is_over(const struct survey_loop *loop)
{
	return loop->is_interrupted || loop->now_ns >= loop->end_ns;
}

/* Runs the loop until is_done(argument), at most for timeout_ns. Returns is_done(). */
bool survey_loop_wait(struct survey_loop *loop, uint64_t timeout_ns,
    bool (*is_done)(const void *argument), const void *argument);
/* Runs the loop for that time. */
void survey_loop_sleep(struct survey_loop *loop, uint64_t ns);
/* True if that much time is left. */
bool survey_loop_has_time(const struct survey_loop *loop, uint64_t ns);

struct survey_open {
	const struct address *to;
	const struct address *from; /* NULL: the kernel chooses. Port 0: the port */
	int ttl, mss, tos;          /* 0: the kernel's default */
	int receive_buffer;         /* bytes; 0: the kernel's default */
	int protocol;               /* IPPROTO_MPTCP; 0: TCP */
	bool is_unpaced;            /* one of many at once */
	bool may_fail;              /* a failure is an answer */
};

/* Begins a connection. NULL, if nothing may begin any more or too many are open. */
struct survey_conn *survey_conn_open(
    struct survey_loop *loop, const struct survey_open *open);
/* NULL is ignored. */
void survey_conn_close(struct survey_loop *loop, struct survey_conn *conn);
void survey_conn_reset(struct survey_loop *loop, struct survey_conn *conn);

/* Waits until it is established: true; false if it failed or the time is over. */
bool survey_conn_wait(
    struct survey_loop *loop, struct survey_conn *conn, uint64_t timeout_ns);
/* Sends what the socket takes at once: all of it, where that is less than its buffer.
 * Returns the bytes. */
size_t survey_conn_send(struct survey_loop *loop, struct survey_conn *conn,
    const void *data, size_t length);
/* Sends all, waiting for room. Returns the bytes sent when the time was over or the
 * connection ended. */
size_t survey_conn_send_all(struct survey_loop *loop, struct survey_conn *conn,
    const void *data, size_t length, uint64_t timeout_ns);
/* Waits until `bytes` have been received in all. */
bool survey_conn_wait_bytes(struct survey_loop *loop, struct survey_conn *conn,
    uint64_t bytes, uint64_t timeout_ns);
/* Waits for the next line. It stands, without its end, in line[size], cut to that;
 * false if none came. */
bool survey_conn_wait_line(struct survey_loop *loop, struct survey_conn *conn,
    char *line, size_t size, uint64_t timeout_ns);
/* Takes a line that has come already. */
bool survey_conn_take_line(struct survey_conn *conn, char *line, size_t size);
/* Waits for the end: the peer's FIN or an error. */
bool survey_conn_wait_end(
    struct survey_loop *loop, struct survey_conn *conn, uint64_t timeout_ns);
/* Stops reading; starts it again. */
void survey_conn_pause(
    struct survey_loop *loop, struct survey_conn *conn, bool is_paused);
/* Sets or moves the connection's timer. */
void survey_conn_set_timer(
    struct survey_loop *loop, const struct survey_conn *conn, uint64_t at_ns);

static inline bool
survey_conn_has_ended(const struct survey_conn *conn)
{
	return conn->state == SURVEY_CONN_FAILED || conn->eof_ns > 0 ||
	    conn->error_ns > 0;
}

#endif
