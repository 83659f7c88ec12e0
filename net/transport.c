#include "net/transport.h"

#include <errno.h>

static ssize_t
tcp_receive(const struct stream *stream, void *data, size_t size)
{
	return recv(stream->fd, data, size, 0);
}

static ssize_t
tcp_send(const struct stream *stream, const void *data, size_t length)
{
	return send(stream->fd, data, length, MSG_NOSIGNAL);
}

static int
tcp_finish(const struct stream *stream)
{
	return shutdown(stream->fd, SHUT_WR);
}

/* The kernel keeps all state of a TCP connection with the socket. */
static size_t
no_state_bytes(const struct stream *stream)
{
	(void)stream;
	return 0;
}

static int
save_no_state(const struct stream *stream, void *data)
{
	(void)stream;
	(void)data;
	return 0;
}

static int
load_no_state(const struct stream *stream, const void *data, size_t length)
{
	(void)stream;
	(void)data;
	errno = EPROTO;
	return length == 0 ? 0 : -1;
}

const struct transport transport_tcp = {
	.name = "tcp",
	.receive = tcp_receive,
	.send = tcp_send,
	.finish = tcp_finish,
	.state_bytes = no_state_bytes,
	.save_state = save_no_state,
	.load_state = load_no_state,
};
