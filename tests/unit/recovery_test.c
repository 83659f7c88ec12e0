#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "lib/buffer.h"
#include "tests/lib/recovery_fixture.h"
#include "worker/connection/connection.h"

struct fixture {
	struct crash_region region;
	struct recovery recovery;
	struct connection *connection; /* the only one: number 3 of the first slab */
	struct buffer *first, *second; /* in the blocks */
};

static struct buffer *
put_buffer(struct fixture *f, size_t offset, const char *text)
{
	struct buffer *buffer = (void *)(f->region.blocks + offset);
	buffer->start = 2;
	buffer->end = 2 + strlen(text);
	buffer->capacity = 1000;
	memcpy(buffer->data + 2, text, strlen(text));
	return buffer;
}

static int
start(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	must(f != NULL);
	recovery_fixture_start(&f->region, &f->recovery);
	struct slab *slab = (void *)f->region.slabs;
	slab->used = 1 << 3;
	f->region.record->slab_end = 1;
	f->region.record->now_ms = 5000;
	f->connection = connection_pool_at(slab, 3);
	f->connection->stream.fd = 77;
	f->connection->socket = 1;
	f->connection->active_ms = 4000;
	f->connection->received = f->connection->sent = 100;
	f->first = put_buffer(f, 0, "partial");
	f->second = put_buffer(f, 2048, "unsent");
	recovery_position = (struct stream_position){ .received = 100, .sent = 100 };
	*state = f;
	return 0;
}

static int
finish(void **state)
{
	struct fixture *f = *state;
	recovery_fixture_finish(&f->region);
	free(f);
	return 0;
}

static enum recovery_status
read_one(struct fixture *f, struct recovered_connection *ret)
{
	struct recovery_cursor cursor = { 0 };
	assert_ptr_equal(recovery_next(&f->recovery, &cursor), f->connection);
	assert_null(recovery_next(&f->recovery, &cursor));
	return recovery_read(&f->recovery, f->connection, ret);
}

/* The connection is being processed, and was what it is now. */
static void
begin(struct fixture *f)
{
	struct crash_record *record = f->region.record;
	record->undo = f->connection->state;
	record->undo_input = record->undo_output = (struct crash_undo_buffer){ 2, 8 };
	if (f->connection->output != NULL) {
		record->undo_output_bytes = f->connection->output->bytes;
		record->undo_replies = f->connection->output->replies;
	}
	record->current = f->connection;
}

static struct output *
put_output(struct fixture *f)
{
	struct output *output = (void *)(f->region.blocks + 4096);
	output->bytes = f->second;
	output->replies = 2;
	f->connection->output = output;
	return output;
}

static void
assert_piece(const struct recovery_piece *piece, const char *text)
{
	assert_int_equal(piece->length, strlen(text));
	assert_memory_equal(piece->data, text, piece->length);
}

static void
test_a_connection_at_rest_is_what_its_record_says(void **state)
{
	struct fixture *f = *state;
	struct recovered_connection c;
	f->connection->input = f->first;
	f->connection->searched = 3;
	put_output(f);
	f->connection->reading_paused = true;
	assert_int_equal(read_one(f, &c), RECOVERY_OK);
	assert_int_equal(c.fd, 77);
	assert_int_equal(c.socket, 1);
	assert_int_equal(c.record.idle_ms, 1000);
	assert_int_equal(c.record.searched, 3);
	assert_int_equal(c.record.replies, 2);
	assert_int_equal(c.record.reading_paused, 1);
	assert_piece(&c.input[0], "partial");
	assert_piece(&c.output, "unsent");
	assert_false(c.was_processed);
}

static void
test_bytes_that_were_read_and_partly_answered_are_found(void **state)
{
	struct fixture *f = *state;
	struct recovered_connection c;
	begin(f);
	memcpy(f->region.input, "message", 7);
	/* Torn: the worker has counted some of it, and queued something. */
	f->connection->received = 107;
	f->connection->input = f->first;
	recovery_position.received = 107;
	recovery_position.sent = 103;
	assert_int_equal(read_one(f, &c), RECOVERY_OK);
	assert_int_equal(c.input[0].length, 0);
	assert_piece(&c.input[1], "message");
	assert_int_equal(c.record.skip, 3);
	assert_int_equal(c.record.deaths, 1);
	assert_int_equal(c.received, 7);
	assert_int_equal(c.sent, 3);
}

static void
test_bytes_that_were_sent_are_taken_from_the_queued_ones_first(void **state)
{
	struct fixture *f = *state;
	struct recovered_connection c;
	put_output(f);
	begin(f);
	f->second->start = 8; /* consumed meanwhile */
	recovery_position.sent = 104;
	assert_int_equal(read_one(f, &c), RECOVERY_OK);
	assert_piece(&c.output, "nt");
	assert_int_equal(c.record.replies, 2);
	recovery_position.sent = 110;
	assert_int_equal(read_one(f, &c), RECOVERY_OK);
	assert_int_equal(c.output.length, 0);
	assert_int_equal(c.record.skip, 4);
	assert_int_equal(c.replies_sent, 2);
	assert_int_equal(c.record.replies, 0);
}

/* Gives the connection TLS. */
static struct tls_state *
put_tls(struct fixture *f)
{
	struct tls_state *tls = (void *)(f->region.blocks + 8192);
	tls->session.version = TLS_VERSION_1_3;
	tls->session.aead = TLS_AES_128_GCM;
	tls->session.hash_bytes = 32;
	tls->session.is_server = true;
	tls->session.send.sequence = 7;
	f->connection->tls = tls;
	return tls;
}

static struct crash_undo_tls *
begin_tls(struct fixture *f)
{
	struct crash_undo_tls *undo = &f->region.record->undo_tls;
	begin(f);
	undo->owner = f->connection;
	undo->state = *f->connection->tls;
	undo->sealed_now = 0;
	undo->sealed[0].send = undo->state.session.send;
	return undo;
}

static void
test_what_was_sealed_and_not_sent_is_not_sealed_again(void **state)
{
	struct fixture *f = *state;
	struct recovered_connection c;
	struct tls_state *tls = put_tls(f);
	struct crash_undo_tls *undo = begin_tls(f);
	memcpy(f->region.received, "records", 7);
	memset(f->region.sealed, 's', 100);
	recovery_position.received = 107;
	/* Published after one that was sent: 30 bytes with 10 of data, then 100
	 * with 40. */
	undo->sealed[1] = (struct crash_sealed){
		.before = 30, .length = 100, .data = 50, .send = { .sequence = 9 }
	};
	undo->sealed_now = 1;
	tls->session.send.sequence = 99; /* torn */
	recovery_position.sent = 100 + 30 + 60;
	assert_int_equal(read_one(f, &c), RECOVERY_OK);
	assert_true(c.has_tls);
	assert_int_equal(c.tls.session.send.sequence, 9);
	assert_int_equal(c.unsent.length, 40);
	assert_int_equal(c.tls.unsent_bytes, 40);
	/* The last byte of the data waits for these. */
	assert_int_equal(c.tls.holds_byte, 1);
	assert_int_equal(c.record.skip, 49);
	assert_piece(&c.partial[1], "records");
	assert_int_equal(c.input[1].length, 0);
	assert_int_equal(c.record.deaths, 1);
	recovery_position.sent = 100 + 130;
	assert_int_equal(read_one(f, &c), RECOVERY_OK);
	assert_int_equal(c.unsent.length, 0);
	assert_int_equal(c.tls.holds_byte, 0);
	assert_int_equal(c.record.skip, 50);
	recovery_position.sent = 100 + 131;
	assert_int_equal(read_one(f, &c), RECOVERY_INVALID);
	recovery_position.sent = 100 + 29;
	assert_int_equal(read_one(f, &c), RECOVERY_INVALID);
}

static void
test_unsent_records_are_continued_where_the_kernel_stopped(void **state)
{
	struct fixture *f = *state;
	struct recovered_connection c;
	struct tls_state *tls = put_tls(f);
	put_output(f); /* "unsent": its first byte is in the records */
	tls->unsent = f->first;
	tls->holds_byte = true;
	struct crash_undo_tls *undo = begin_tls(f);
	f->region.record->undo_output.end = 8;
	undo->unsent = (struct crash_undo_buffer){ 2, 9 };
	recovery_position.sent = 103;
	assert_int_equal(read_one(f, &c), RECOVERY_OK);
	assert_piece(&c.unsent, "tial");
	assert_int_equal(c.tls.holds_byte, 1);
	assert_piece(&c.output, "unsent");
	recovery_position.sent = 107;
	assert_int_equal(read_one(f, &c), RECOVERY_OK);
	assert_int_equal(c.unsent.length, 0);
	assert_piece(&c.output, "nsent");
	assert_int_equal(c.sent, 1);
}

static void
test_a_handshake_is_lost_unless_nothing_was_sent(void **state)
{
	struct fixture *f = *state;
	struct recovered_connection c;
	struct tls_state *tls = put_tls(f);
	f->connection->phase = CONNECTION_TLS_HANDSHAKE;
	tls->is_handshaking = true;
	assert_int_equal(read_one(f, &c), RECOVERY_INVALID);
	/* It began with the bytes that were just read. */
	f->region.record->undo_tls.owner = NULL;
	begin(f);
	memcpy(f->region.input, "hello", 5);
	recovery_position.received = 105;
	assert_int_equal(read_one(f, &c), RECOVERY_OK);
	assert_false(c.has_tls);
	assert_piece(&c.input[1], "hello");
	recovery_position.sent = 101;
	assert_int_equal(read_one(f, &c), RECOVERY_INVALID);
}

static void
test_a_session_that_no_handshake_makes_is_invalid(void **state)
{
	struct fixture *f = *state;
	struct recovered_connection c;
	struct tls_state *tls = put_tls(f);
	assert_int_equal(read_one(f, &c), RECOVERY_OK);
	tls->session.hash_bytes = 33;
	assert_int_equal(read_one(f, &c), RECOVERY_INVALID);
	f->connection->tls = (void *)(f->region.base + f->region.size);
	assert_int_equal(read_one(f, &c), RECOVERY_INVALID);
}

static void
test_a_second_death_in_a_row_closes_the_connection(void **state)
{
	struct fixture *f = *state;
	struct recovered_connection c;
	f->connection->deaths = 1;
	begin(f);
	assert_int_equal(read_one(f, &c), RECOVERY_CRASHED_TWICE);
	f->region.record->current = NULL;
	assert_int_equal(read_one(f, &c), RECOVERY_OK);
}

static void
test_what_no_worker_can_have_done_is_invalid(void **state)
{
	struct fixture *f = *state;
	struct recovered_connection c;
	const struct connection good = *f->connection;
	struct buffer *const bad[] = { (void *)(f->region.blocks - 8),
		(void *)(f->region.blocks + 4), (void *)f->region.record,
		(void *)(f->region.blocks + RECOVERY_BLOCK_BYTES - 8), (void *)8 };
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		f->connection->input = bad[i];
		assert_int_equal(read_one(f, &c), RECOVERY_INVALID);
	}
	*f->connection = good;
	f->connection->input = f->first;
	f->first->end = RECOVERY_BLOCK_BYTES;
	assert_int_equal(read_one(f, &c), RECOVERY_INVALID);
	f->first->end = 1;
	assert_int_equal(read_one(f, &c), RECOVERY_INVALID);
	*f->connection = good;
	f->connection->socket = 2;
	assert_int_equal(read_one(f, &c), RECOVERY_INVALID);
	*f->connection = good;
	f->connection->phase = 9;
	assert_int_equal(read_one(f, &c), RECOVERY_INVALID);
	*f->connection = good;
	begin(f);
	recovery_position.received = 99;
	assert_int_equal(read_one(f, &c), RECOVERY_INVALID);
	recovery_position.received = 101 + WORKER_INPUT_BYTES;
	assert_int_equal(read_one(f, &c), RECOVERY_INVALID);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, start, finish)
		TEST(test_a_connection_at_rest_is_what_its_record_says),
		TEST(test_bytes_that_were_read_and_partly_answered_are_found),
		TEST(test_bytes_that_were_sent_are_taken_from_the_queued_ones_first),
		TEST(test_what_was_sealed_and_not_sent_is_not_sealed_again),
		TEST(test_unsent_records_are_continued_where_the_kernel_stopped),
		TEST(test_a_handshake_is_lost_unless_nothing_was_sent),
		TEST(test_a_session_that_no_handshake_makes_is_invalid),
		TEST(test_a_second_death_in_a_row_closes_the_connection),
		TEST(test_what_no_worker_can_have_done_is_invalid),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
