#include "client/run/server_stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/xmalloc.h"
#include "http/http_client.h"

#define TIMEOUT_S 5
#define TRIES 40 /* until the server has closed the connections of the run */
#define PAUSE_US 50000

static int
refuse(const char *error)
{
	log_errorx("%s", error);
	return EX_UNAVAILABLE;
}

/* The server's /stats: heap, or NULL with one line in error[PLAN_ERROR_MAX]. */
static char *
fetch(const char *where, char *error)
{
	const struct http_client_request request = { .server = where,
		.method = "GET",
		.target = "/stats",
		.timeout_ns = TIMEOUT_S * NS_PER_S };
	struct http_client_response response;
	char why[256];
	if (http_client_send(&request, &response, why, sizeof(why)) == HTTP_CLIENT_OK) {
		if (response.status == 200)
			return response.body;
		snprintf(
		    why, sizeof(why), "HTTP status %d, expected 200", response.status);
		free(response.body);
	}
	snprintf(error, PLAN_ERROR_MAX, "--ledger %s: %s", where, why);
	return NULL;
}

/* Reads a server's counters, repeatedly until at most `quiet_at` connections are open
 * there: the server sees a close after the client. */
static int
read_one(const char *where, uint64_t quiet_at, struct server_totals *ret)
{
	char error[PLAN_ERROR_MAX];
	for (int i = 0; i < TRIES; i++) {
		char *text = fetch(where, error);
		if (text == NULL)
			return refuse(error);
		int rc = reconcile_read_totals(text, ret, error, sizeof(error));
		free(text);
		if (rc != 0)
			return refuse(error);
		if (ret->connections_open <= quiet_at)
			break;
		usleep(PAUSE_US);
	}
	return 0;
}

int
server_stats_open(const struct plan *plan, struct reconcile_server **ret)
{
	struct reconcile_server *servers;
	*ret = NULL;
	if (plan->ledgers.count == 0)
		return 0;
	servers = xcalloc(plan->ledgers.count, sizeof(*servers));
	for (uint32_t i = 0; i < plan->ledgers.count; i++) {
		servers[i].where = plan->ledgers.items[i];
		int status = read_one(servers[i].where, UINT64_MAX, &servers[i].before);
		if (status != 0) {
			free(servers);
			return status;
		}
	}
	*ret = servers;
	return 0;
}

int
server_stats_reconcile(
    const struct plan *plan, struct reconcile_server *servers, struct result *result)
{
	for (uint32_t i = 0; i < plan->ledgers.count; i++) {
		struct reconcile_server *server = &servers[i];
		int status = read_one(
		    server->where, server->before.connections_open, &server->after);
		if (status != 0)
			return status;
		if (!reconcile_is_later(&server->after, &server->before)) {
			log_errorx(
			    "--ledger %s: the counters decreased during the run: another server process answers now",
			    server->where);
			return EX_UNAVAILABLE;
		}
	}
	if (plan->ledgers.count > 0)
		reconcile_servers(result, servers, plan->ledgers.count);
	return 0;
}
