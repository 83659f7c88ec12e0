/*
 * recovery.h - reads the record of a dead worker (worker/connection/crash_record.h):
 * which of its connections can be continued, from which byte on.
 *
 * The memory is untrusted: its worker may have been compromised. Whatever it holds,
 * only offsets within the region are followed, and only descriptors that its caller has
 * checked are used. It does not change while it is read.
 */
#ifndef KEEPER_RECOVERY_H
#define KEEPER_RECOVERY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/socket_info.h"
#include "proto/transfer.h"
#include "worker/connection/crash_record.h"
#include "worker/connection/fault_state.h"
#include "worker/connection/tls_state.h"

struct recovery {
	const struct crash_region *region;
	uint32_t socket_count;          /* listening sockets of the worker */
	uint64_t input_max, output_max; /* bytes that a connection can have queued */
	int (*read_position)(
	    int fd, struct stream_position *ret); /* as socket_info.h */
};

struct recovery_cursor { /* all zero at first */
	uint32_t slab, index;
};

/* Bytes in the region. */
struct recovery_piece {
	const uint8_t *data;
	size_t length;
};

enum recovery_status {
	RECOVERY_OK,
	RECOVERY_INVALID,       /* close it */
	RECOVERY_CRASHED_TWICE, /* close it for that reason */
};

struct recovered_connection {
	int fd; /* unchecked */
	uint32_t socket;
	/* But for its listener: the worker's record has the number of the socket. */
	struct transfer_record record;
	struct recovery_piece input[2], output, about;
	bool has_faults;
	struct fault_progress fault_progress;
	struct recovery_piece fault_segments;
	bool begins_tls; /* its handshake had begun since the last commit */
	bool has_tls;
	struct tls_moved tls;
	struct recovery_piece partial[2], unsent;
	uint64_t tls_received, tls_sent; /* bytes of records, as received and sent */
	/* Work of the worker since the last commit: */
	bool was_processed;
	uint64_t received, sent; /* bytes */
	uint64_t
	    replies_sent; /* replies that had been queued before and are sent now */
};

/* The next connection in use, or NULL. */
const struct connection *recovery_next(
    const struct recovery *recovery, struct recovery_cursor *cursor);

/* *ret has at least fd and socket; the pieces have the sizes in its
 * record. */
enum recovery_status recovery_read(const struct recovery *recovery,
    const struct connection *connection, struct recovered_connection *ret);

#endif
