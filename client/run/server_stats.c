#include "client/run/server_stats.h"

#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/xmalloc.h"
#include "http/http_client.h"
#include "client/measure/findings.h"
#include "client/plan/proxy_plan.h"
#include "client/result/result.h"

#define TIMEOUT_S 5
#define TRIES 40 /* until the server has closed the connections of the run */
#define PAUSE_US 50000

/* The server's answer: heap, or NULL with one line in error[PLAN_ERROR_MAX]. */
static char *
fetch(const char *where, const char *target, char *error)
{
	const struct http_client_request request = { .server = where,
		.method = "GET",
		.target = target,
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
	snprintf(error, PLAN_ERROR_MAX, "%s", why);
	return NULL;
}

/* Reads a server's counters, repeatedly until at most `quiet_at` connections are open
 * there: the server sees a close after the client. 0, or -1 with one line in
 * error[PLAN_ERROR_MAX]. */
static int
read_one(const char *where, uint64_t quiet_at, struct server_totals *ret, char *error)
{
	for (int i = 0; i < TRIES; i++) {
		uint64_t asked_ns = clock_now_ns();
		char *text = fetch(where, "/stats", error);
		if (text == NULL)
			return -1;
		int rc = reconcile_read_totals(text, ret, error, PLAN_ERROR_MAX);
		free(text);
		if (rc != 0)
			return -1;
		ret->asked_ns = asked_ns;
		ret->answered_ns = clock_now_ns();
		if (ret->connections_open <= quiet_at)
			break;
		usleep(PAUSE_US);
	}
	return 0;
}

int
server_stats_read(const char *where, struct server_totals *ret, char *error)
{
	return read_one(where, UINT64_MAX, ret, error);
}

int
server_stats_open(const struct plan *plan, struct reconcile_server **ret)
{
	struct reconcile_server *servers;
	char error[PLAN_ERROR_MAX];
	*ret = NULL;
	if (plan->ledgers.count == 0)
		return 0;
	servers = xcalloc(plan->ledgers.count, sizeof(*servers));
	for (uint32_t i = 0; i < plan->ledgers.count; i++) {
		servers[i].where = plan->ledgers.items[i];
		if (read_one(servers[i].where, UINT64_MAX, &servers[i].before, error) <
		    0) {
			log_errorx("--ledger %s: %s", servers[i].where, error);
			free(servers);
			return EX_UNAVAILABLE;
		}
	}
	*ret = servers;
	return 0;
}

/* Reads the record of the faults that the server has injected during the run. Without
 * it none of the findings can be judged. */
static void
read_faults(struct reconcile_server *server, bool has_findings, uint64_t since_ns)
{
	char error[PLAN_ERROR_MAX];
	uint64_t injected =
	    server->after.faults_injected - server->before.faults_injected;
	/* Earlier faults of a listener may still be in effect. */
	if (injected == 0 && (!has_findings || server->after.faults_injected == 0))
		return;
	struct explain_request request = { .injected = injected,
		.since_ns = since_ns,
		.asked_ns = clock_realtime_ns() };
	char *text = fetch(server->where, "/faults", error);
	request.answered_ns = clock_realtime_ns();
	if (text == NULL ||
	    explain_list_read(text, &request, &server->faults, error, sizeof(error)) <
		0) {
		log_warnx("--ledger %s: %s", server->where, error);
		server->faults.missing = injected;
	}
	free(text);
}

/* Reads one server after the run. 0, or -1 after one line on stderr if its counters of
 * the run are lost. */
static int
read_again(struct reconcile_server *server, bool has_findings, uint64_t since_ns)
{
	char error[PLAN_ERROR_MAX];
	int rc = read_one(
	    server->where, server->before.connections_open, &server->after, error);
	server->at_ns = clock_realtime_ns();
	if (rc < 0) {
		server->state = RECONCILE_GONE;
		snprintf(server->error, sizeof(server->error), "%.255s", error);
		log_errorx("--ledger %s: %s", server->where, error);
		return -1;
	}
	if (reconcile_is_later(&server->after, &server->before)) {
		read_faults(server, has_findings, since_ns);
		return 0;
	}
	server->state = RECONCILE_RESTARTED;
	server->at_ns -= server->after.uptime_ns;
	log_errorx(
	    "--ledger %s: the server restarted during the run: its counters before that are lost",
	    server->where);
	return -1;
}

/* Sets by which address the server knows the client of each finding. */
static void
set_announced(const struct plan *plan, struct result *result)
{
	for (size_t i = 0; i < result->finding_count; i++) {
		struct finding *finding = &result->findings[i];
		finding->announced = finding->local;
		if (plan->proxy_version != PROXY_OFF && finding->local.family != 0) {
			struct address own, source;
			address_expand(&finding->local, &own);
			proxy_plan_source(plan, finding->connection, &own, &source);
			finding->announced = (struct address_compact){ .family = 0 };
			address_compact(&source, &finding->announced);
		}
		explain_unmap(&finding->announced);
	}
	if (plan->proxy_source_text == NULL)
		return;
	/* The server knows announced clients alone. */
	free(result->clients);
	result->clients = NULL;
}

int
server_stats_reconcile(
    const struct plan *plan, struct reconcile_server *servers, struct result *result)
{
	int status = 0;
	for (uint32_t i = 0; i < plan->ledgers.count; i++)
		if (read_again(&servers[i], result->finding_count > 0,
			result->started_at_ns) < 0)
			status = EX_UNAVAILABLE;
	set_announced(plan, result);
	if (plan->ledgers.count > 0)
		reconcile_servers(result, servers, plan->ledgers.count);
	for (uint32_t i = 0; i < plan->ledgers.count; i++)
		free(servers[i].faults.faults);
	return status;
}
