#include "master/admin/admin_routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/keyvalq_struct.h>

#include "lib/log.h"

#include "http/http_response.h"

#include "conf/log_config.h"

#include "master/admin/stats.h"
#include "master/changes/pending_requests.h"
#include "master/changes/rebalance.h"
#include "master/changes/reload.h"
#include "master/changes/scale.h"
#include "master/changes/shutdown.h"
#include "master/upgrade/upgrade.h"

struct request_context {
	struct master *master;
	struct http_server *http_server;
	struct evhttp_request *request;
	const char *argument; /* of the query; NULL: none */
	bool waits_for_drain; /* not only until the change serves */
};

static void
refuse(const struct request_context *request_context, const char *wanted)
{
	char text[256];
	snprintf(text, sizeof(text), "found \"%.64s\", wanted %s",
	    request_context->argument == NULL ? "" : request_context->argument, wanted);
	http_response_send(request_context->request, HTTP_BADREQUEST,
	    HTTP_RESPONSE_JSON,
	    stats_format_outcome(request_context->master, false, text, NULL));
}

static void
accept_now(const struct request_context *request_context, const char *text)
{
	http_response_send(request_context->request, HTTP_OK, HTTP_RESPONSE_JSON,
	    stats_format_outcome(request_context->master, true, text, NULL));
}

static bool
wait_for(const struct request_context *request_context, enum change_kind kind)
{
	return pending_requests_add(request_context->master,
	    request_context->http_server, request_context->request, kind,
	    request_context->waits_for_drain);
}

static void
post_reload(const struct request_context *request_context)
{
	if (wait_for(request_context, CHANGE_RELOAD))
		reload_start(request_context->master);
}

static void
post_scale(const struct request_context *request_context)
{
	const char *digits =
	    request_context->argument == NULL ? "" : request_context->argument;
	size_t length = strspn(digits, "0123456789");
	if (length == 0 || length > 6 || digits[length] != '\0')
		refuse(request_context, "workers=N, a number of workers");
	else if (wait_for(request_context, CHANGE_SCALE))
		scale_workers(
		    request_context->master, (uint32_t)strtoul(digits, NULL, 10));
}

static void
post_upgrade(const struct request_context *request_context)
{
	if (wait_for(request_context, CHANGE_UPGRADE))
		upgrade_start(request_context->master);
}

static void
post_rebalance(const struct request_context *request_context)
{
	if (wait_for(request_context, CHANGE_REBALANCE))
		rebalance_start(request_context->master);
}

static void
post_stop(const struct request_context *request_context)
{
	if (!request_context->waits_for_drain)
		accept_now(request_context, "stopping: the server drains and ends");
	else if (!wait_for(request_context, CHANGE_STOP))
		return;
	shutdown_in_order(request_context->master);
}

static void
post_log(const struct request_context *request_context)
{
	for (unsigned i = 0;
	     request_context->argument != NULL && log_level_names[i] != NULL; i++) {
		if (strcmp(log_level_names[i], request_context->argument) != 0)
			continue;
		log_config_set_level(request_context->master, (enum log_level)i);
		char text[64];
		snprintf(text, sizeof(text), "log: level %s", log_level_names[i]);
		accept_now(request_context, text);
		return;
	}
	refuse(request_context, "level=LEVEL: error, warn, info or debug");
}

static const struct {
	const char *path;
	const char *key; /* of its argument in the query; NULL: it has none */
	void (*post)(const struct request_context *request_context);
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
read_wait(struct request_context *request_context, const char *wait)
{
	request_context->waits_for_drain = wait == NULL || strcmp(wait, "end") == 0;
	if (request_context->waits_for_drain || strcmp(wait, "outcome") == 0)
		return true;
	request_context->argument = wait;
	refuse(request_context, "wait=outcome or wait=end");
	return false;
}

static void
serve(size_t row, struct request_context *request_context, const struct evhttp_uri *uri)
{
	struct evkeyvalq query;
	const char *text = evhttp_uri_get_query(uri);
	if (http_server_kind(request_context->http_server) != HTTP_SERVER_UNIX) {
		http_response_send(request_context->request, 403, HTTP_RESPONSE_JSON,
		    stats_format_outcome(request_context->master, false,
			"this address is read-only; use the admin socket", NULL));
		return;
	}
	if (evhttp_request_get_command(request_context->request) != EVHTTP_REQ_POST) {
		http_response_send_bad_method(request_context->request, "POST",
		    HTTP_RESPONSE_JSON,
		    stats_format_outcome(
			request_context->master, false, "expected POST", NULL));
		return;
	}
	bool has_query = text != NULL && evhttp_parse_query_str(text, &query) == 0;
	if (has_query && rows[row].key != NULL)
		request_context->argument = evhttp_find_header(&query, rows[row].key);
	if (read_wait(
		request_context, has_query ? evhttp_find_header(&query, "wait") : NULL))
		rows[row].post(request_context);
	if (has_query)
		evhttp_clear_headers(&query);
}

bool
admin_routes_serve(struct master *master, struct http_server *http_server,
    struct evhttp_request *request)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = evhttp_uri_get_path(uri);
	struct request_context request_context = {
		.master = master, .http_server = http_server, .request = request
	};
	for (size_t i = 0; path != NULL && i < ROWS; i++) {
		if (strcmp(rows[i].path, path) == 0) {
			serve(i, &request_context, uri);
			return true;
		}
	}
	return false;
}
