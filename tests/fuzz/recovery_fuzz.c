/*
 * recovery_fuzz.c - the memory of a dead worker, whatever it holds. The input fills the
 * record, the first slab and the blocks; a pointer in it that is smaller than the
 * region is taken as an offset, so that some point into it.
 */
#include <stdint.h>
#include <string.h>

#include "tests/fuzz/input.h"
#include "tests/lib/recovery_fixture.h"
#include "worker/connection/connection.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static volatile uint8_t sum; /* every byte that would be sent is read */

static void
read_piece(const struct recovery_piece *piece)
{
	for (size_t i = 0; i < piece->length; i++)
		sum = (uint8_t)(sum + piece->data[i]);
}

static void *
relocate(const struct crash_region *region, void *pointer)
{
	uintptr_t offset = (uintptr_t)pointer;
	return offset != 0 && offset < region->size ? region->base + offset : pointer;
}

static void
relocate_state(const struct crash_region *region, struct connection_state *state)
{
	state->input = relocate(region, state->input);
	state->output = relocate(region, state->output);
}

/* No handshake can produce a session by chance. */
static void
relocate_tls(const struct crash_region *region, struct tls_state *tls)
{
	tls->partial = relocate(region, tls->partial);
	tls->unsent = relocate(region, tls->unsent);
	tls->session.version = TLS_VERSION_1_3;
	tls->session.aead = TLS_AES_128_GCM;
	tls->session.hash_bytes = 32;
	tls->session.message_left = tls->session.message_header_bytes = 0;
}

static void
relocate_all(const struct crash_region *region)
{
	struct crash_record *record = region->record;
	record->current = relocate(region, record->current);
	record->undo_output_bytes = relocate(region, record->undo_output_bytes);
	relocate_state(region, &record->undo);
	/* Any connection may be the one that was processed. */
	record->undo_tls.owner = record->current;
	relocate_tls(region, &record->undo_tls.state);
	for (unsigned i = 0; i < SLAB_CONNECTIONS; i++) {
		struct connection *connection =
		    connection_pool_at((void *)region->slabs, i);
		relocate_state(region, &connection->state);
		connection->tls = relocate(region, connection->tls);
	}
	for (size_t at = 1024; at < 4096; at += 256)
		relocate_tls(region, (void *)(region->blocks + at));
	for (size_t at = 0; at + sizeof(struct output) <= 512; at += 64) {
		struct output *output = (void *)(region->blocks + at);
		output->bytes = relocate(region, output->bytes);
	}
}

static size_t
fill(uint8_t *to, size_t room, const uint8_t *data, size_t size)
{
	size_t taken = size < room ? size : room;
	memcpy(to, data, taken);
	return taken;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct crash_region region;
	struct recovery recovery;
	struct recovery_cursor cursor = { 0 };
	const struct connection *connection;
	if (size < sizeof(recovery_position))
		return 0;
	recovery_fixture_start(&region, &recovery);
	recovery_position = (struct stream_position){ .received = data[0] * 300U,
		.sent = data[1] * 300U,
		.is_closed = data[2] == 255 };
	data += 3;
	size -= 3;
	size_t taken = fill((void *)region.record, sizeof(*region.record), data, size);
	taken += fill(region.slabs, connection_pool_slab_bytes(), data + taken,
	    (size - taken) / 2);
	(void)fill(region.blocks, region.block_bytes, data + taken, size - taken);
	relocate_all(&region);
	while ((connection = recovery_next(&recovery, &cursor)) != NULL) {
		struct recovered_connection c;
		if (recovery_read(&recovery, connection, &c) != RECOVERY_OK)
			continue;
		must(c.socket < recovery.socket_count);
		must(c.record.input_bytes == c.input[0].length + c.input[1].length);
		must(c.record.output_bytes == c.output.length);
		read_piece(&c.input[0]);
		read_piece(&c.input[1]);
		read_piece(&c.output);
		if (!c.has_tls)
			continue;
		must(tls_session_is_valid(&c.tls.session));
		read_piece(&c.partial[0]);
		read_piece(&c.partial[1]);
		read_piece(&c.unsent);
	}
	recovery_fixture_finish(&region);
	return 0;
}
