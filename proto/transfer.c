#include "proto/transfer.h"

#include <errno.h>

#include "proto/channel.h"

_Static_assert(sizeof(struct transfer_record) == 88, "the layout of a record is fixed");
_Static_assert(
    TRANSFER_BATCH_MAX + 1 <= CHANNEL_PACKET_FDS_MAX, "room for descriptors");

int
transfer_packet_send(
    int fd, const void *packet, size_t length, const int *fds, size_t count)
{
	const struct channel_packet sent = { .data = (void *)packet,
		.length = length,
		.fds = (int *)fds,
		.fd_count = count };
	return channel_packet_send(fd, &sent);
}

ssize_t
transfer_packet_receive(
    int fd, union transfer_packet *ret, int *ret_fds, size_t *ret_count)
{
	struct channel_packet packet = { .data = ret,
		.length = sizeof(*ret),
		.fds = ret_fds,
		.fd_count = TRANSFER_BATCH_MAX + 1 };
	int rc = channel_packet_receive(fd, &packet);
	*ret_count = rc > 0 ? packet.fd_count : 0;
	if (rc <= 0)
		return rc;
	if (packet.length < sizeof(struct transfer_note) ||
	    packet.length > sizeof(*ret)) {
		errno = EPROTO;
		return -1;
	}
	return (ssize_t)packet.length;
}

size_t
transfer_batch_bytes(uint32_t count)
{
	return offsetof(struct transfer_batch, records) +
	    count * sizeof(struct transfer_record);
}
