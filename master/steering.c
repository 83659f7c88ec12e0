#include "master/steering.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/keyvalq_struct.h>

#include "lib/log.h"

#include "master/balance.h"
#include "master/logging.h"
#include "master/reply_http.h"
#include "master/scale.h"
#include "master/stats.h"
#include "master/stop.h"
#include "master/turnover.h"
#include "master/upgrade.h"
#include "master/waiting.h"

struct visit {
	struct master *master;
	struct door *door;
	struct evhttp_request *request;
	const char *argument; /* of the query; NULL: none */
	bool until_end;       /* not only until the change serves */
};

static void
refuse(const struct visit *visit, const char *wanted)
{
	char text[256];
	snprintf(text, sizeof(text), "found \"%.64s\", wanted %s",
	    visit->argument == NULL ? "" : visit->argument, wanted);
	reply_http_refuse(visit->master, visit->request, HTTP_BADREQUEST, text);
}

static void
accept_now(const struct visit *visit, const char *text)
{
	reply_http(visit->request, HTTP_OK, REPLY_HTTP_JSON,
	    stats_write_outcome(visit->master, true, text, NULL));
}

static bool
wait_for(const struct visit *visit, const char *change)
{
	return waiting_add(
	    visit->master, visit->door, visit->request, change, visit->until_end);
}

static void
post_reload(const struct visit *visit)
{
	if (wait_for(visit, waiting_reload))
		turnover_reload(visit->master);
}

static void
post_scale(const struct visit *visit)
{
	const char *digits = visit->argument == NULL ? "" : visit->argument;
	size_t length = strspn(digits, "0123456789");
	if (length == 0 || length > 6 || digits[length] != '\0')
		refuse(visit, "workers=N, a number of workers");
	else if (wait_for(visit, waiting_scale))
		scale_workers(visit->master, (uint32_t)strtoul(digits, NULL, 10));
}

static void
post_upgrade(const struct visit *visit)
{
	if (wait_for(visit, waiting_upgrade))
		upgrade_start(visit->master);
}

static void
post_rebalance(const struct visit *visit)
{
	if (wait_for(visit, waiting_rebalance))
		balance_now(visit->master);
}

static void
post_stop(const struct visit *visit)
{
	if (!visit->until_end)
		accept_now(visit, "stopping: the server drains and ends");
	else if (!wait_for(visit, waiting_stop))
		return;
	stop_in_order(visit->master);
}

static void
post_log(const struct visit *visit)
{
	for (unsigned i = 0; visit->argument != NULL && log_level_names[i] != NULL;
	     i++) {
		if (strcmp(log_level_names[i], visit->argument) != 0)
			continue;
		logging_set_level(visit->master, (enum log_level)i);
		char text[64];
		snprintf(text, sizeof(text), "log: level %s", log_level_names[i]);
		accept_now(visit, text);
		return;
	}
	refuse(visit, "level=LEVEL: error, warn, info or debug");
}

static const struct {
	const char *path;
	const char *key; /* of its argument in the query; NULL: it has none */
	void (*post)(const struct visit *visit);
} rows[] = {
	{ "/reload", NULL, post_reload },
	{ "/scale", "workers", post_scale },
	{ "/upgrade", NULL, post_upgrade },
	{ "/rebalance", NULL, post_rebalance },
	{ "/stop", NULL, post_stop },
	{ "/log", "level", post_log },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

/* False when it was refused. */
static bool
read_wait(struct visit *visit, const char *wait)
{
	visit->until_end = wait == NULL || strcmp(wait, "end") == 0;
	if (visit->until_end || strcmp(wait, "outcome") == 0)
		return true;
	visit->argument = wait;
	refuse(visit, "wait=outcome or wait=end");
	return false;
}

static void
serve(size_t row, struct visit *visit, const struct evhttp_uri *uri)
{
	struct evkeyvalq query;
	const char *text = evhttp_uri_get_query(uri);
	if (door_kind(visit->door) != DOOR_SOCKET) {
		reply_http_refuse(visit->master, visit->request, 403,
		    "here is only to be read; admin.socket steers");
		return;
	}
	if (evhttp_request_get_command(visit->request) != EVHTTP_REQ_POST) {
		reply_http_refuse_method(
		    visit->master, visit->request, "POST", "POST was wanted");
		return;
	}
	bool has_query = text != NULL && evhttp_parse_query_str(text, &query) == 0;
	if (has_query && rows[row].key != NULL)
		visit->argument = evhttp_find_header(&query, rows[row].key);
	if (read_wait(visit, has_query ? evhttp_find_header(&query, "wait") : NULL))
		rows[row].post(visit);
	if (has_query)
		evhttp_clear_headers(&query);
}

bool
steering_serve(struct master *master, struct door *door, struct evhttp_request *request)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = evhttp_uri_get_path(uri);
	struct visit visit = { .master = master, .door = door, .request = request };
	for (size_t i = 0; path != NULL && i < ROWS; i++) {
		if (strcmp(rows[i].path, path) == 0) {
			serve(i, &visit, uri);
			return true;
		}
	}
	return false;
}
