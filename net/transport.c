#include "net/transport.h"

static ssize_t
tcp_receive(const struct stream *stream, void *data, size_t size)
{
	return recv(stream->fd, data, size, MSG_DONTWAIT);
}

static ssize_t
tcp_send(const struct stream *stream, const void *data, size_t length)
{
	return send(stream->fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
}

static ssize_t
tcp_receive_timed(
    const struct stream *stream, void *data, size_t size, uint64_t *ret_waited_ns)
{
	return receive_time_recv(stream->fd, data, size, ret_waited_ns);
}

static int
tcp_finish(const struct stream *stream)
{
	return shutdown(stream->fd, SHUT_WR);
}

const struct transport transport_tcp = {
	.name = "tcp",
	.receive = tcp_receive,
	.send = tcp_send,
	.receive_timed = tcp_receive_timed,
	.finish = tcp_finish,
};
