/*
 * transport.h - the operations on a connected stream socket, one row of functions for
 * each transport. TCP is the only transport.
 *
 * A connection does not store its row: the row is a property of its listener or target,
 * and the caller forms a struct stream on the stack. The calls below are direct for
 * TCP, so that plain TCP pays no indirect call.
 */
#ifndef NET_TRANSPORT_H
#define NET_TRANSPORT_H

#include <sys/socket.h>
#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#include "net/receive_time.h"

struct transport;

struct stream {
	int fd;
	const struct transport *transport;
};

struct transport {
	const char *name;
	/* As recv(2) and send(2) with MSG_NOSIGNAL, and never waits: a socket from a
	 * compromised worker may be in blocking mode. */
	ssize_t (*receive)(const struct stream *stream, void *data, size_t size);
	ssize_t (*send)(const struct stream *stream, const void *data, size_t length);
	/* As receive; *ret_waited_ns as in receive_time_recv(). */
	ssize_t (*receive_timed)(const struct stream *stream, void *data, size_t size,
	    uint64_t *ret_waited_ns);
	/* Ends our direction of the stream. 0, or -1 with errno. */
	int (*finish)(const struct stream *stream);
};

extern const struct transport transport_tcp;

static inline ssize_t
transport_receive(const struct stream *stream, void *data, size_t size)
{
	if (__builtin_expect(stream->transport == &transport_tcp, 1))
		return recv(stream->fd, data, size, MSG_DONTWAIT);
	return stream->transport->receive(stream, data, size);
}

static inline ssize_t
transport_send(const struct stream *stream, const void *data, size_t length)
{
	if (__builtin_expect(stream->transport == &transport_tcp, 1))
		return send(stream->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
	return stream->transport->send(stream, data, length);
}

static inline ssize_t
transport_receive_timed(
    const struct stream *stream, void *data, size_t size, uint64_t *ret_waited_ns)
{
	return stream->transport->receive_timed(stream, data, size, ret_waited_ns);
}

static inline int
transport_finish(const struct stream *stream)
{
	return stream->transport->finish(stream);
}

/* Closes a connected socket with a reset (socket(7), SO_LINGER): bytes that the peer
 * has not acknowledged may be lost. */
static inline void
transport_reset(int fd)
{
	const struct linger reset = { .l_onoff = 1 };
	(void)setsockopt(fd, SOL_SOCKET, SO_LINGER, &reset, sizeof(reset));
	close(fd);
}

#endif
