#include "master/admin/admin_routes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/keyvalq_struct.h>

#include "lib/log.h"

#include "http/http_response.h"

#include "proto/channel.h"

#include "master/admin/metrics.h"
#include "master/admin/stats.h"
#include "master/changes/pending_requests.h"
#include "master/changes/rebalance.h"
#include "master/changes/reload.h"
#include "master/changes/scale.h"
#include "master/changes/shutdown.h"
#include "master/upgrade/upgrade.h"
#include "master/workers/process.h"
#include "master/workers/slot.h"

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
		reload_start(&request_context->master->reload);
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
		scale_workers(&request_context->master->scale,
		    (uint32_t)strtoul(digits, NULL, 10));
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
		rebalance_start(&request_context->master->rebalance);
}

static void
post_stop(const struct request_context *request_context)
{
	if (!request_context->waits_for_drain)
		accept_now(request_context, "stopping: the server drains and ends");
	else if (!wait_for(request_context, CHANGE_STOP))
		return;
	shutdown_in_order(&request_context->master->shutdown);
}

static void
note_level(struct config *config, enum log_level level)
{
	config->log.level = level;
	if (config_set_origin(config, "log.level", "log") < 0)
		log_warn("where the level of the log came from is not noted");
}

static void
set_log_level(struct master *master, enum log_level level)
{
	/* Told by the one of the two levels that tells more. */
	if (level > log_get_level())
		log_set_level(level);
	log_info("log: level %s", log_level_names[level]);
	log_set_level(level);
	process_send_all(&master->workers, CHANNEL_LOG_LEVEL, level);
	note_level(&master->config.current, level);
	if (master->reload.is_active)
		note_level(&master->reload.config, level);
}

static void
post_log(const struct request_context *request_context)
{
	for (unsigned i = 0;
	     request_context->argument != NULL && log_level_names[i] != NULL; i++) {
		if (strcmp(log_level_names[i], request_context->argument) != 0)
			continue;
		set_log_level(request_context->master, (enum log_level)i);
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

static bool
serve_post(struct master *master, struct http_server *http_server,
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

static void
get_stats(const struct master *master, struct evhttp_request *request)
{
	http_response_send(request, HTTP_OK, HTTP_RESPONSE_JSON, stats_format(master));
}

static void
get_workers(const struct master *master, struct evhttp_request *request)
{
	http_response_send(
	    request, HTTP_OK, HTTP_RESPONSE_JSON, stats_format_workers(master));
}

static void
get_metrics(const struct master *master, struct evhttp_request *request)
{
	http_response_send(
	    request, HTTP_OK, METRICS_CONTENT_TYPE, metrics_format(master));
}

static void
get_config(const struct master *master, struct evhttp_request *request)
{
	http_response_send(request, HTTP_OK, HTTP_RESPONSE_JSON,
	    config_print_origins(&master->config.current));
}

/* That this is answered is what it says. */
static void
get_healthz(const struct master *master, struct evhttp_request *request)
{
	(void)master;
	http_response_send(request, HTTP_OK, HTTP_RESPONSE_TEXT, strdup("ok"));
}

static void
get_readyz(const struct master *master, struct evhttp_request *request)
{
	const char *text = "ready";
	if (master->workers.phase == MASTER_STARTING)
		text = "starting";
	else if (master->workers.phase == MASTER_STOPPING)
		text = "draining";
	else if (slot_serving(&master->workers) == 0)
		text = "no worker serves";
	bool is_ready = strcmp(text, "ready") == 0;
	http_response_send(request, is_ready ? HTTP_OK : HTTP_SERVUNAVAIL,
	    HTTP_RESPONSE_TEXT, strdup(text));
}

static const struct {
	const char *path;
	void (*get)(const struct master *master, struct evhttp_request *request);
} get_rows[] = {
	{ "/stats", get_stats },
	{ "/workers", get_workers },
	{ "/metrics", get_metrics },
	{ "/config", get_config },
	{ "/healthz", get_healthz },
	{ "/readyz", get_readyz },
};

#define GET_ROWS (sizeof(get_rows) / sizeof(get_rows[0]))

static void
refuse_get(const struct master *master, struct evhttp_request *request, int code,
    const char *why)
{
	http_response_send(request, code, HTTP_RESPONSE_JSON,
	    stats_format_outcome(master, false, why, NULL));
}

static bool
serve_get(const struct master *master, struct evhttp_request *request)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = evhttp_uri_get_path(uri);
	for (size_t i = 0; path != NULL && i < GET_ROWS; i++) {
		if (strcmp(get_rows[i].path, path) != 0)
			continue;
		if (evhttp_request_get_command(request) == EVHTTP_REQ_POST)
			http_response_send_bad_method(request, "GET, HEAD",
			    HTTP_RESPONSE_JSON,
			    stats_format_outcome(master, false, "expected GET", NULL));
		else
			get_rows[i].get(master, request);
		return true;
	}
	return false;
}

static void
refuse_path(const struct master *master, struct evhttp_request *request)
{
	char why[128] = "no such path; expected one of";
	for (size_t i = 0, at = strlen(why); i < GET_ROWS && at < sizeof(why); i++)
		at += (size_t)snprintf(
		    why + at, sizeof(why) - at, " %s", get_rows[i].path);
	refuse_get(master, request, HTTP_NOTFOUND, why);
}

void
admin_routes_serve(
    struct evhttp_request *request, struct http_server *http_server, void *argument)
{
	struct master *master = argument;
	if (evhttp_request_get_evhttp_uri(request) == NULL)
		refuse_get(
		    master, request, HTTP_BADREQUEST, "malformed request target");
	else if (!serve_get(master, request) &&
	    !serve_post(master, http_server, request))
		refuse_path(master, request);
}
