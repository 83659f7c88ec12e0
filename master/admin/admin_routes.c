#include "master/admin/admin_routes.h"

#include <sys/queue.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <event2/keyvalq_struct.h>

#include "lib/log.h"
#include "http/http_response.h"
#include "proto/channel.h"
#include "master/admin/fault_report.h"
#include "master/admin/history.h"
#include "master/admin/metrics.h"
#include "master/admin/page.h"
#include "master/admin/stats.h"
#include "master/changes/fault_change.h"
#include "master/changes/pending_requests.h"
#include "master/changes/rebalance.h"
#include "master/changes/reload.h"
#include "master/changes/scale.h"
#include "master/changes/shutdown.h"
#include "master/upgrade/upgrade.h"
#include "master/workers/process.h"
#include "master/workers/slot.h"

struct context {
	struct master *master;
	struct http_server *http_server;
	struct evhttp_request *request;
	const struct evkeyvalq *query; /* NULL: none */
	const char *argument;          /* of the query; "": none */
	bool waits_for_drain;          /* not only for the outcome */
	bool is_forced;
};

static char *
format_outcome(const struct context *context, bool is_good, const char *text)
{
	return pending_requests_format_outcome(
	    &context->master->workers, is_good, text, NULL);
}

static void
respond(const struct context *context, int code, const char *text)
{
	http_response_send(context->request, code, HTTP_RESPONSE_JSON,
	    format_outcome(context, code == HTTP_OK, text));
}

static void
refuse(const struct context *context, const char *found, const char *expected)
{
	char text[256];
	snprintf(text, sizeof(text), "found \"%.64s\", expected %s", found, expected);
	respond(context, HTTP_BADREQUEST, text);
}

/* False when it was refused. */
static bool
wait_for(const struct context *context, enum change_kind kind)
{
	return pending_requests_add(&context->master->pending, context->http_server,
	    context->request, kind, context->waits_for_drain);
}

static void
post_reload(const struct context *context)
{
	if (wait_for(context, CHANGE_RELOAD))
		reload_start(&context->master->reload);
}

static void
post_scale(const struct context *context)
{
	const char *digits = context->argument;
	size_t length = strspn(digits, "0123456789");
	if (length == 0 || length > 6 || digits[length] != '\0')
		refuse(context, digits, "workers=N, a number of workers");
	else if (wait_for(context, CHANGE_SCALE))
		scale_workers(&context->master->scale,
		    (uint32_t)strtoul(digits, NULL, 10), context->is_forced);
}

static void
post_upgrade(const struct context *context)
{
	if (wait_for(context, CHANGE_UPGRADE))
		upgrade_start(context->master);
}

static void
post_rebalance(const struct context *context)
{
	if (wait_for(context, CHANGE_REBALANCE))
		rebalance_start(&context->master->rebalance);
}

static void
post_stop(const struct context *context)
{
	if (!context->waits_for_drain)
		respond(context, HTTP_OK, "stopping: the workers drain and exit");
	else if (!wait_for(context, CHANGE_STOP))
		return;
	shutdown_in_order(&context->master->shutdown);
}

static void
note_level(struct config *config, enum log_level level)
{
	config->log.level = level;
	if (config_set_origin(config, "log.level", "log") < 0)
		log_warn("[log_level_origin_failed] "
			 "log: cannot record where the level was set");
}

static void
set_log_level(struct master *master, enum log_level level)
{
	/* Logged at the more verbose of the two levels. */
	if (level > log_get_level())
		log_set_level(level);
	log_info("[log_level_changed log_level] log: level %s", log_level_names[level]);
	log_set_level(level);
	process_send_all(&master->workers, CHANNEL_LOG_LEVEL, level);
	note_level(&master->config.current, level);
	if (master->reload.is_active)
		note_level(&master->reload.config, level);
}

static void
post_log(const struct context *context)
{
	for (unsigned i = 0; log_level_names[i] != NULL; i++) {
		if (strcmp(log_level_names[i], context->argument) != 0)
			continue;
		set_log_level(context->master, (enum log_level)i);
		char text[64];
		snprintf(text, sizeof(text), "log: level %s", log_level_names[i]);
		respond(context, HTTP_OK, text);
		return;
	}
	refuse(context, context->argument, "level=LEVEL: error, warn, info or debug");
}

/* faults?listener=ADDRESS&fault=FAULT&fault=..., or faults?clear=1 */
static void
post_faults(const struct context *context)
{
	struct worker_table *workers = &context->master->workers;
	const char *faults[FAULTS_MAX + 1], *listener = context->argument;
	const struct evkeyval *pair;
	char text[CONFIG_ERROR_MAX];
	size_t count = 0;
	bool clears = false;
	if (context->query != NULL) {
		for (pair = TAILQ_FIRST(context->query); pair != NULL;
		     pair = TAILQ_NEXT(pair, next)) {
			if (strcmp(pair->key, "fault") == 0 && count <= FAULTS_MAX)
				faults[count++] = pair->value;
			clears = clears || strcmp(pair->key, "clear") == 0;
		}
	}
	if (clears == (listener[0] != '\0')) {
		respond(context, HTTP_BADREQUEST,
		    "expected listener=ADDRESS or listener=all, with fault=FAULT for each fault, or clear=1");
		return;
	}
	int rc = clears ? fault_change_clear(workers, text)
			: fault_change_set(workers, listener, faults, count, text);
	if (rc == 0 && clears)
		respond(context, HTTP_OK,
		    "faults: those of the configuration are in effect");
	else
		respond(context, rc < 0 ? HTTP_BADREQUEST : HTTP_OK, text);
}

/* faults?record=N: only the latest N records */
static void
get_faults(const struct context *context)
{
	const char *digits = context->argument;
	bool is_number = digits[0] != '\0' && strlen(digits) < 10 &&
	    strspn(digits, "0123456789") == strlen(digits);
	if (digits[0] != '\0' && !is_number) {
		refuse(context, digits, "record=N, a number of records");
		return;
	}
	http_response_send(context->request, HTTP_OK, HTTP_RESPONSE_JSON,
	    fault_report_format(
		context->master, is_number ? strtoul(digits, NULL, 10) : UINT64_MAX));
}

static void
get_stats(const struct context *context)
{
	http_response_send(context->request, HTTP_OK, HTTP_RESPONSE_JSON,
	    stats_format(context->master));
}

static void
get_workers(const struct context *context)
{
	http_response_send(context->request, HTTP_OK, HTTP_RESPONSE_JSON,
	    stats_format_workers(context->master));
}

static void
get_metrics(const struct context *context)
{
	http_response_send(context->request, HTTP_OK, METRICS_CONTENT_TYPE,
	    metrics_format(context->master));
}

static void
get_config(const struct context *context)
{
	http_response_send(context->request, HTTP_OK, HTTP_RESPONSE_JSON,
	    config_print_origins(&context->master->config.current));
}

/* history?since=SECOND: only the samples after that second of the epoch */
static void
get_history(const struct context *context)
{
	const char *digits = context->argument;
	if (strlen(digits) > 18 || strspn(digits, "0123456789") != strlen(digits)) {
		refuse(context, digits, "since=N, a time in seconds since 1970");
		return;
	}
	http_response_send(context->request, HTTP_OK, HTTP_RESPONSE_JSON,
	    history_format(
		context->master, context->master->history, strtoull(digits, NULL, 10)));
}

static void
get_page(const struct context *context)
{
	page_send(context->request);
}

static void
get_healthz(const struct context *context)
{
	http_response_send(context->request, HTTP_OK, HTTP_RESPONSE_TEXT, strdup("ok"));
}

static void
get_readyz(const struct context *context)
{
	const struct worker_table *workers = &context->master->workers;
	const char *reason = workers->phase == MASTER_STARTING ? "starting"
	    : workers->phase == MASTER_STOPPING                ? "draining"
	    : slot_count_in(workers, SLOT_SERVING) == 0        ? "no worker serves"
							       : NULL;
	http_response_send(context->request,
	    reason == NULL ? HTTP_OK : HTTP_SERVUNAVAIL, HTTP_RESPONSE_TEXT,
	    strdup(reason == NULL ? "ready" : reason));
}

static const struct route {
	const char *path;
	bool is_change; /* POST on the Unix socket; else GET and HEAD on any listener */
	const char *key; /* of its argument in the query; NULL: none */
	void (*serve)(const struct context *context);
} routes[] = {
	{ "/", false, NULL, get_page },
	{ "/stats", false, NULL, get_stats },
	{ "/history", false, "since", get_history },
	{ "/workers", false, NULL, get_workers },
	{ "/metrics", false, NULL, get_metrics },
	{ "/config", false, NULL, get_config },
	{ "/healthz", false, NULL, get_healthz },
	{ "/readyz", false, NULL, get_readyz },
	{ "/reload", true, NULL, post_reload },
	{ "/scale", true, "workers", post_scale },
	{ "/upgrade", true, NULL, post_upgrade },
	{ "/rebalance", true, NULL, post_rebalance },
	{ "/stop", true, NULL, post_stop },
	{ "/log", true, "level", post_log },
	{ "/faults", false, "record", get_faults },
	{ "/faults", true, "listener", post_faults },
};

#define ROUTES (sizeof(routes) / sizeof(routes[0]))

static const char *
find(const struct context *context, const char *key)
{
	return context->query == NULL || key == NULL
	    ? NULL
	    : evhttp_find_header(context->query, key);
}

static void
serve_change(const struct route *route, struct context *context)
{
	const char *wait = find(context, "wait"), *force = find(context, "force");
	context->is_forced = force != NULL && strcmp(force, "1") == 0;
	context->waits_for_drain = wait == NULL || strcmp(wait, "end") == 0;
	if (!context->waits_for_drain && strcmp(wait, "outcome") != 0)
		refuse(context, wait, "wait=outcome or wait=end");
	else if (force != NULL && !context->is_forced)
		refuse(context, force, "force=1");
	else
		route->serve(context);
}

static void
serve_with_query(
    const struct route *route, struct context *context, const struct evhttp_uri *uri)
{
	struct evkeyvalq query;
	const char *text = evhttp_uri_get_query(uri);
	bool has_query = text != NULL && evhttp_parse_query_str(text, &query) == 0;
	context->query = has_query ? &query : NULL;
	const char *argument = find(context, route->key);
	context->argument = argument == NULL ? "" : argument;
	if (route->is_change)
		serve_change(route, context);
	else
		route->serve(context);
	if (has_query)
		evhttp_clear_headers(&query);
}

static void
serve_route(
    const struct route *route, struct context *context, const struct evhttp_uri *uri)
{
	bool is_post = evhttp_request_get_command(context->request) == EVHTTP_REQ_POST;
	bool may_change = http_server_kind(context->http_server) == HTTP_SERVER_UNIX;
	if (route->is_change && !may_change)
		respond(
		    context, 403, "this address is read-only; use the admin socket");
	else if (route->is_change != is_post)
		http_response_send_bad_method(context->request,
		    route->is_change ? "POST" : "GET, HEAD", HTTP_RESPONSE_JSON,
		    format_outcome(context, false,
			route->is_change ? "expected POST" : "expected GET"));
	else
		serve_with_query(route, context, uri);
}

/* The route of the path, for the method if there are two; NULL: none. */
static const struct route *
find_route(const char *path, bool is_post)
{
	const struct route *found = NULL;
	for (size_t i = 0; path != NULL && i < ROUTES; i++) {
		if (strcmp(routes[i].path, path) == 0 &&
		    (found == NULL || routes[i].is_change == is_post))
			found = &routes[i];
	}
	return found;
}

static void
refuse_path(const struct context *context)
{
	char text[256] = "no such path; expected one of";
	size_t at = strlen(text);
	const char *between = " ";
	for (size_t i = 0; i < ROUTES && at < sizeof(text); i++) {
		if (routes[i].is_change)
			continue;
		at += (size_t)snprintf(
		    text + at, sizeof(text) - at, "%s%s", between, routes[i].path);
		between = ", ";
	}
	respond(context, HTTP_NOTFOUND, text);
}

void
admin_routes_serve(
    struct evhttp_request *request, struct http_server *http_server, void *argument)
{
	struct context context = {
		.master = argument, .http_server = http_server, .request = request
	};
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	if (uri == NULL) {
		respond(&context, HTTP_BADREQUEST, "malformed request target");
		return;
	}
	const char *path = evhttp_uri_get_path(uri);
	bool is_post = evhttp_request_get_command(request) == EVHTTP_REQ_POST;
	const struct route *route = find_route(path, is_post);
	if (route != NULL)
		serve_route(route, &context, uri);
	else
		refuse_path(&context);
}
