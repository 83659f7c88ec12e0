#include "worker/connection/tls_state.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "net/tls/tls_handshake.h"
#include "net/tls/tls_record.h"
#include "net/tls/tls_tickets.h"
#include "worker/connection/connection.h"
#include "worker/connection/tls_transport.h"
#include "worker/connection/worker_state.h"

#define QUIET_MS 1000

int
tls_state_create(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	struct tls_state *tls = worker->region.slabs != NULL
	    ? region_heap_alloc(&worker->blocks, sizeof(*tls))
	    : malloc(sizeof(*tls));
	if (tls == NULL) {
		errno = ENOMEM;
		return -1;
	}
	memset(tls, 0, sizeof(*tls));
	CRASH_RECORD_BARRIER();
	connection->tls = tls;
	connection->stream.transport = &transport_tls;
	return 0;
}

static void
drop_ciphers(struct worker *worker, struct tls_state *tls)
{
	if (tls->ciphers == NULL)
		return;
	tls_ciphers_destroy(tls->ciphers);
	tls->ciphers = NULL;
	worker->tls.cipher_count--;
}

void
tls_state_destroy(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	struct tls_state *tls = connection->tls;
	if (tls == NULL)
		return;
	connection->tls = NULL;
	if (tls->is_handshaking)
		tls_handshake_destroy(tls->handshake);
	else
		drop_ciphers(worker, tls);
	buffer_release(&tls->partial);
	buffer_release(&tls->unsent);
	tls_session_wipe(&tls->session);
	/* Keys in the record belong to what is being processed, or to nothing. */
	if (worker->record->current == NULL)
		explicit_bzero(
		    &worker->record->undo_tls, sizeof(worker->record->undo_tls));
	if (worker->region.slabs != NULL)
		region_heap_free(&worker->blocks, tls, sizeof(*tls));
	else
		free(tls);
}

struct tls_ciphers *
tls_state_ciphers(const struct connection *connection)
{
	struct tls_state *tls = connection->tls;
	if (tls->ciphers == NULL) {
		tls->ciphers = tls_ciphers_create();
		if (tls->ciphers != NULL)
			connection->listener->worker->tls.cipher_count++;
		else
			errno = ENOMEM;
	}
	return tls->ciphers;
}

static bool
drop_if_quiet(struct connection *connection, void *argument)
{
	struct worker *worker = argument;
	struct tls_state *tls = connection->tls;
	if (tls == NULL || tls->is_handshaking || tls->ciphers == NULL)
		return true;
	tls->session.key_updates = 0;
	if (worker->timeouts.now_ms - connection->active_ms >= QUIET_MS)
		drop_ciphers(worker, tls);
	return true;
}

void
tls_state_drop_quiet(struct worker *worker)
{
	if (worker->tls.cipher_count > 0)
		connection_pool_for_each(&worker->connections, drop_if_quiet, worker);
}

void
tls_state_advance_tickets(struct worker *worker)
{
	struct tls_tickets *tickets = worker->config->tickets;
	if (tickets != NULL)
		(void)tls_tickets_advance(tickets, clock_now_ns());
}
