#include "keeper/kept.h"

#include <sys/socket.h>

#include <errno.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/resources.h"
#include "lib/shared_memory.h"
#include "net/socket_info.h"
#include "proto/channel.h"
#include "worker/admission.h"
#include "worker/connection/connection.h"
#include "worker/conversation/session.h"

static struct ledger_block *
block_of(const struct kept *kept, uint32_t socket)
{
	const struct worker_args *args = kept->args;
	return &args->worker_ledger->by_listener[args->sockets[socket].ledger_index];
}

static const struct listener_config *
config_of(const struct kept *kept, uint32_t socket)
{
	const struct worker_args *args = kept->args;
	return &args->config->listeners[args->sockets[socket].listener];
}

/* A compromised worker may have made close(2) wait. */
static void
close_socket(int fd)
{
	channel_discard_fds(&fd, 1);
}

/* True for a connected socket of the family of that listener. */
static bool
is_connection(const struct kept *kept, int fd, uint32_t socket)
{
	return fd >= 0 && fd < kept->fd_end &&
	    socket_info_option(fd, SO_TYPE) == SOCK_STREAM &&
	    socket_info_option(fd, SO_ACCEPTCONN) == 0 &&
	    socket_info_option(fd, SO_DOMAIN) ==
	    config_of(kept, socket)->address.storage.ss_family;
}

/* False if it is one of another connection already. */
static bool
claim_fd(struct kept *kept, int fd)
{
	uint8_t bit = (uint8_t)(1 << (fd % 8));
	if ((kept->fd_bits[fd / 8] & bit) != 0)
		return false;
	kept->fd_bits[fd / 8] |= bit;
	return true;
}

static bool
is_claimed(const struct kept *kept, int fd)
{
	return (kept->fd_bits[fd / 8] >> (fd % 8) & 1) != 0;
}

static int
add(struct kept *kept, const struct kept_connection *connection)
{
	if (kept->count == kept->capacity) {
		size_t capacity = kept->capacity == 0 ? 256 : kept->capacity * 2;
		struct kept_connection *larger = reallocarray(
		    kept->connections, capacity, sizeof(*kept->connections));
		if (larger == NULL)
			return -1;
		kept->connections = larger;
		kept->capacity = capacity;
	}
	kept->connections[kept->count++] = *connection;
	return 0;
}

/* The path of a message had counted, or not, what it was doing. Messages and replies
 * are counted by the worker that answers them again. */
static void
correct_counters(const struct kept *kept, const struct recovered_connection *recovered)
{
	const struct crash_record *record = kept->recovery.region->record;
	struct ledger_block *block = block_of(kept, recovered->socket);
	/* Before the end of a header no byte counts as received (proxy_phase.c). */
	bool has_header = connection_phase_is_handshake(recovered->record.phase);
	const uint64_t done[CRASH_RECORD_COUNTERS] = { 0, recovered->replies_sent,
		has_header ? 0 : recovered->received, recovered->sent };
	for (int i = 0; i < CRASH_RECORD_COUNTERS; i++)
		atomic_store(&block->counters[LEDGER_MESSAGES_RECEIVED + i],
		    record->counters[i] + done[i]);
	if (recovered->has_tls) {
		atomic_store(&block->counters[LEDGER_TLS_BYTES_RECEIVED],
		    record->undo_tls.received + recovered->tls_received);
		atomic_store(&block->counters[LEDGER_TLS_BYTES_SENT],
		    record->undo_tls.sent + recovered->tls_sent);
	}
	if (!recovered->has_faults)
		return;
	for (int i = 0; i < FAULT_KIND_COUNT; i++)
		atomic_store(&block->faults[i], record->undo_faults.counts[i]);
	if (kept->args->fault_ring != NULL)
		atomic_store(
		    &kept->args->fault_ring->written, record->undo_faults.ring_written);
}

static void
count_lost(const struct kept *kept, uint32_t socket, enum close_reason reason)
{
	ledger_count_closed(block_of(kept, socket), reason);
}

/* The worker was killed for lack of memory, which its buffers still take: those of a
 * connection with that many bytes are returned to the kernel. */
#define LARGE_BYTES (1024 * 1024)

static bool
is_large(const struct recovered_connection *recovered)
{
	return (uint64_t)recovered->record.input_bytes +
	    recovered->record.output_bytes >
	    LARGE_BYTES;
}

static void
return_memory(const struct crash_region *region, const struct recovery_piece *piece)
{
	const size_t page = shared_memory_round(1);
	size_t first = shared_memory_round((size_t)(piece->data - region->base));
	size_t end =
	    ((size_t)(piece->data - region->base) + piece->length) / page * page;
	const struct shared_memory_range range = { first, end - first };
	if (piece->length > LARGE_BYTES / 2 && end > first &&
	    shared_memory_clear(region->fd, &range) < 0)
		log_warn("[memory_return_failed] cannot return memory");
}

static bool
is_within_pass(const struct kept *kept, const struct recovered_connection *recovered)
{
	const struct recovery_piece *session = &recovered->input[0];
	return config_of(kept, recovered->socket)->conversation != NULL &&
	    recovered->record.phase == CONNECTION_SERVING &&
	    !session_is_between_passes(session->data, session->length);
}

static int
keep_one(struct kept *kept, const struct connection *connection, bool lacks_memory)
{
	struct recovered_connection recovered;
	enum recovery_status status =
	    recovery_read(&kept->recovery, connection, &recovered);
	/* Without a listener it can only be counted with all that is left. */
	if (recovered.socket >= kept->args->socket_count)
		return 0;
	bool is_usable = is_connection(kept, recovered.fd, recovered.socket) &&
	    claim_fd(kept, recovered.fd);
	if (is_usable && recovered.was_processed)
		correct_counters(kept, &recovered);
	bool is_dropped = status == RECOVERY_OK && lacks_memory && is_large(&recovered);
	if (is_dropped) {
		return_memory(kept->recovery.region, &recovered.input[0]);
		return_memory(kept->recovery.region, &recovered.output);
	} else if (is_usable && status == RECOVERY_OK)
		return add(kept,
		    &(struct kept_connection){ .connection = connection,
			.fd = recovered.fd,
			.socket = recovered.socket,
			.needs_same_reply = recovered.record.skip > 0 ||
			    is_within_pass(kept, &recovered) });
	count_lost(kept, recovered.socket,
	    status == RECOVERY_CRASHED_TWICE ? CLOSE_CRASHED_TWICE
		: is_dropped                 ? CLOSE_NO_MEMORY
					     : CLOSE_WORKER_LOST);
	if (is_usable)
		close_socket(recovered.fd);
	return 0;
}

static void
close_if_connection(const struct kept *kept, const struct connection *connection)
{
	int fd = connection->stream.fd;
	if (connection->socket < kept->args->socket_count &&
	    is_connection(kept, fd, connection->socket) && !is_claimed(kept, fd))
		close_socket(fd);
}

static uint8_t
byte(const bool *flag)
{
	return *(const uint8_t *)flag;
}

static int
keep_all(struct kept *kept, const struct kept_circumstances *how)
{
	const struct crash_record *record = kept->recovery.region->record;
	struct recovery_cursor cursor = { 0 };
	const struct connection *connection;
	while ((connection = recovery_next(&kept->recovery, &cursor)) != NULL) {
		bool is_closing = record->closing.fd_plus_one != 0 &&
		    record->closing.connection == connection;
		bool is_owned = byte(&connection->is_recorded) != 0 || how->is_received;
		bool has_left = byte(&connection->is_in_flight) != 0 && how->is_sent;
		if (is_closing || (!is_owned && record->opening.socket_plus_one != 0))
			continue;
		if (!is_owned || has_left)
			close_if_connection(kept, connection);
		else if (keep_one(kept, connection, how->lacks_memory) < 0)
			return -1;
	}
	return 0;
}

/* A socket that was closed is counted once, wherever its worker died. */
static void
finish_closing(struct kept *kept)
{
	const struct crash_record *record = kept->recovery.region->record;
	uint32_t socket = record->closing.socket, reason = record->closing.reason;
	if (record->closing.fd_plus_one <= 0 || socket >= kept->args->socket_count ||
	    reason >= CLOSE_REASON_COUNT)
		return;
	int fd = record->closing.fd_plus_one - 1;
	atomic_store(
	    &block_of(kept, socket)->closed[reason], record->closing.closed + 1);
	if (!is_connection(kept, fd, socket) || is_claimed(kept, fd))
		return;
	if (reason == CLOSE_CONVERSATION_RESET)
		transport_reset(fd);
	else
		close_socket(fd);
}

/* accept(2) takes the lowest free descriptor, so that a connection that is not recorded
 * is close to those that are. */
static int
find_accepted(const struct kept *kept, uint32_t socket)
{
	int misses_left = 1024;
	for (int fd = 3; fd < kept->fd_end && misses_left > 0; fd++) {
		if (is_claimed(kept, fd))
			continue;
		if (is_connection(kept, fd, socket))
			return fd;
		misses_left--;
	}
	return -1;
}

/* The worker died between accept(2) and the record or refusal of the connection. */
static int
finish_opening(struct kept *kept)
{
	const struct crash_record *record = kept->recovery.region->record;
	uint32_t socket = record->opening.socket_plus_one - 1;
	atomic_store(&kept->args->worker_ledger->own.accepting, 0);
	if (record->opening.socket_plus_one == 0 || socket >= kept->args->socket_count)
		return 0;
	int fd = find_accepted(kept, socket);
	if (fd < 0)
		return 0;
	atomic_store(&block_of(kept, socket)->counters[LEDGER_CONNECTIONS_ACCEPTED],
	    record->opening.accepted + 1);
	struct address peer = { .length = sizeof(peer.storage) };
	bool is_connected =
	    getpeername(fd, (struct sockaddr *)&peer.storage, &peer.length) == 0;
	if (is_connected && address_is_unix(&peer))
		address_set_process(fd, &peer);
	enum close_reason reason = is_connected
	    ? admission_check_peer(config_of(kept, socket), fd, &peer)
	    : CLOSE_NONE;
	if (reason != CLOSE_NONE) {
		count_lost(kept, socket, reason);
		close_socket(fd);
		return 0;
	}
	struct kept_connection connection = { .fd = fd, .socket = socket };
	if (is_connected)
		address_compact(&peer, &connection.peer);
	claim_fd(kept, fd);
	return add(kept, &connection);
}

static void
set_gauges(const struct kept *kept)
{
	struct worker_ledger *worker_ledger = kept->args->worker_ledger;
	for (size_t i = 0; i < kept->args->socket_count; i++)
		atomic_store(&block_of(kept, (uint32_t)i)->open, 0);
	for (size_t i = 0; i < kept->count; i++)
		ledger_add_open(block_of(kept, kept->connections[i].socket), 1);
	atomic_store(&worker_ledger->own.handshakes, 0);
	open_count_reset(&worker_ledger->open, (uint32_t)kept->count);
}

int
kept_start(struct kept *kept, const struct worker_args *args,
    const struct crash_region *region, const struct kept_circumstances *how)
{
	uint64_t longest = 0;
	for (size_t i = 0; i < args->config->listener_count; i++) {
		uint64_t max = args->config->listeners[i].max_message;
		longest = max > longest ? max : longest;
	}
	const uint64_t margin = 256 * 1024; /* headers and one read */
	*kept = (struct kept){ .args = args,
		.start_ns = clock_now_ns(),
		.recovery = { .region = region,
		    .socket_count = (uint32_t)args->socket_count,
		    .input_max = longest + margin,
		    .output_max = args->config->limits.max_pending + 2 * longest +
			FAULT_GROWTH_MAX + margin,
		    .read_position = socket_info_read_position },
		.fd_end = (int)resources_descriptor_limit() };
	kept->fd_bits = calloc((size_t)kept->fd_end / 8 + 1, 1);
	if (kept->fd_bits == NULL || keep_all(kept, how) < 0 ||
	    finish_opening(kept) < 0)
		return -1;
	finish_closing(kept);
	set_gauges(kept);
	return 0;
}

enum recovery_status
kept_read(const struct kept *kept, const struct kept_connection *connection,
    struct recovered_connection *ret)
{
	enum recovery_status status = RECOVERY_OK;
	if (connection->connection != NULL) {
		status = recovery_read(&kept->recovery, connection->connection, ret);
	} else {
		*ret = (struct recovered_connection){ .fd = connection->fd,
			.socket = connection->socket,
			.record = { .phase = (uint8_t)connection_first_phase(
					config_of(kept, connection->socket)),
			    .peer_family = connection->peer.family,
			    .peer_port = connection->peer.port } };
		memcpy(
		    ret->record.peer, connection->peer.bytes, sizeof(ret->record.peer));
	}
	ret->record.listener = kept->args->sockets[connection->socket].listener;
	return status;
}

static void
forget(struct kept *kept, size_t i)
{
	ledger_add_open(block_of(kept, kept->connections[i].socket), -1);
	open_count_change(&kept->args->worker_ledger->open,
	    &(struct open_change){ .connections = -1 });
	close_socket(kept->connections[i].fd);
	kept->connections[i] = kept->connections[--kept->count];
}

void
kept_moved(struct kept *kept, size_t i)
{
	struct ledger_block *block = block_of(kept, kept->connections[i].socket);
	ledger_count(block, LEDGER_CONNECTIONS_MOVED_OUT, 1);
	ledger_count(block, LEDGER_CONNECTIONS_RECOVERED, 1);
	forget(kept, i);
}

void
kept_close(struct kept *kept, size_t i, enum close_reason reason)
{
	count_lost(kept, kept->connections[i].socket, reason);
	forget(kept, i);
}
