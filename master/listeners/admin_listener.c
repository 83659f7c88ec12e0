#include "master/listeners/admin_listener.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event_struct.h>

#include "lib/clock.h"
#include "lib/log.h"

#include "http/http_response.h"
#include "net/address.h"

#include "master/admin/admin_routes.h"
#include "master/admin/metrics.h"
#include "master/admin/stats.h"
#include "master/changes/pending_requests.h"
#include "master/workers/slot.h"

/* A door that a reload has closed still serves who is inside, until this is over. */
#define CLOSE_GRACE_S 2
/* An exec waits so long for the requests that are under way. */
#define EXEC_WAIT_NS NS_PER_S

struct admin {
	struct http_server *servers[HTTP_SERVER_KINDS];
	struct http_server *planned[HTTP_SERVER_KINDS];
	bool keeps[HTTP_SERVER_KINDS]; /* the plan has the same one */
	struct http_server *draining[HTTP_SERVER_KINDS];
	struct event close_grace_timer;
	uint64_t paused_since_ns; /* 0: the doors are not held */
};

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
	else if (slot_serving(master) == 0)
		text = "no worker serves";
	bool is_ready = strcmp(text, "ready") == 0;
	http_response_send(request, is_ready ? HTTP_OK : HTTP_SERVUNAVAIL,
	    HTTP_RESPONSE_TEXT, strdup(text));
}

static const struct {
	const char *path;
	void (*get)(const struct master *master, struct evhttp_request *request);
} rows[] = {
	{ "/stats", get_stats },
	{ "/workers", get_workers },
	{ "/metrics", get_metrics },
	{ "/config", get_config },
	{ "/healthz", get_healthz },
	{ "/readyz", get_readyz },
};

#define ROWS (sizeof(rows) / sizeof(rows[0]))

static void
refuse(const struct master *master, struct evhttp_request *request, int code,
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
	for (size_t i = 0; path != NULL && i < ROWS; i++) {
		if (strcmp(rows[i].path, path) != 0)
			continue;
		if (evhttp_request_get_command(request) == EVHTTP_REQ_POST)
			http_response_send_bad_method(request, "GET, HEAD",
			    HTTP_RESPONSE_JSON,
			    stats_format_outcome(master, false, "expected GET", NULL));
		else
			rows[i].get(master, request);
		return true;
	}
	return false;
}

static void
refuse_path(const struct master *master, struct evhttp_request *request)
{
	char why[128] = "no such path; expected one of";
	for (size_t i = 0, at = strlen(why); i < ROWS && at < sizeof(why); i++)
		at += (size_t)snprintf(why + at, sizeof(why) - at, " %s", rows[i].path);
	refuse(master, request, HTTP_NOTFOUND, why);
}

static void
on_request(
    struct evhttp_request *request, struct http_server *http_server, void *argument)
{
	struct master *master = argument;
	if (evhttp_request_get_evhttp_uri(request) == NULL)
		refuse(master, request, HTTP_BADREQUEST, "malformed request target");
	else if (!serve_get(master, request) &&
	    !admin_routes_serve(master, http_server, request))
		refuse_path(master, request);
}

static void
on_close_grace_end(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct admin *admin = argument;
	for (int i = 0; i < HTTP_SERVER_KINDS; i++) {
		http_server_destroy(admin->draining[i]);
		admin->draining[i] = NULL;
	}
}

int
admin_listener_create(struct master *master)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	if (admin == NULL)
		return -1;
	evtimer_assign(
	    &admin->close_grace_timer, master->base, on_close_grace_end, admin);
	master->admin = admin;
	return 0;
}

void
admin_listener_destroy(struct master *master)
{
	struct admin *admin = master->admin;
	if (admin == NULL)
		return;
	pending_requests_finish(master);
	admin_listener_discard(master);
	on_close_grace_end(-1, 0, admin);
	event_del(&admin->close_grace_timer);
	for (int i = 0; i < HTTP_SERVER_KINDS; i++)
		http_server_destroy(admin->servers[i]);
	free(admin);
	master->admin = NULL;
}

static const char *
configured_name(const struct config *config, enum http_server_kind kind)
{
	return kind == HTTP_SERVER_UNIX ? config->admin.socket : config->admin.address;
}

static struct http_server_args
args_for(struct master *master, enum http_server_kind kind, const char *name)
{
	return (struct http_server_args){ .base = master->base,
		.kind = kind,
		.name = name,
		.handler = on_request,
		.argument = master };
}

/* As the kernel would have it. */
static bool
is_same_name(enum http_server_kind kind, const char *a, const char *b)
{
	struct address one, other;
	char error[CONFIG_ERROR_MAX];
	if (kind != HTTP_SERVER_TCP)
		return strcmp(a, b) == 0;
	return address_parse(a, &one, error, sizeof(error)) == 0 &&
	    address_parse(b, &other, error, sizeof(error)) == 0 &&
	    address_equal(&one, &other);
}

static int
plan_server(struct master *master, const struct config *config,
    enum http_server_kind kind, char *error)
{
	struct admin *admin = master->admin;
	const char *name = configured_name(config, kind);
	const struct http_server *open = admin->servers[kind];
	if (name == NULL)
		return 0;
	admin->keeps[kind] = open != NULL &&
	    is_same_name(kind, http_server_name(open), name) &&
	    http_server_is_reachable(open);
	if (admin->keeps[kind])
		return 0;
	const struct http_server_args args = args_for(master, kind, name);
	char why[CONFIG_ERROR_MAX - 16];
	struct http_server *http_server = http_server_open(&args, why, sizeof(why));
	admin->planned[kind] = http_server;
	if (http_server == NULL) {
		snprintf(error, CONFIG_ERROR_MAX, "admin: %s", why);
		return -1;
	}
	if (http_server_set_group(http_server, config->admin.group) == 0)
		return 0;
	snprintf(error, CONFIG_ERROR_MAX, "admin: cannot give %s to group %s: %s", name,
	    config->admin.group, strerror(errno));
	return -1;
}

int
admin_listener_plan(struct master *master, const struct config *config, char *error)
{
	for (int i = 0; i < HTTP_SERVER_KINDS; i++) {
		if (plan_server(master, config, (enum http_server_kind)i, error) < 0) {
			admin_listener_discard(master);
			return -1;
		}
	}
	return 0;
}

void
admin_listener_discard(struct master *master)
{
	struct admin *admin = master->admin;
	for (int i = 0; i < HTTP_SERVER_KINDS; i++) {
		http_server_destroy(admin->planned[i]);
		admin->planned[i] = NULL;
		admin->keeps[i] = false;
	}
}

static void
close_with_grace(struct admin *admin, int kind)
{
	const struct timeval delay = { .tv_sec = CLOSE_GRACE_S };
	http_server_close(admin->servers[kind]);
	http_server_destroy(admin->draining[kind]);
	admin->draining[kind] = admin->servers[kind];
	evtimer_add(&admin->close_grace_timer, &delay);
}

void
admin_listener_commit(struct master *master)
{
	struct admin *admin = master->admin;
	for (int i = 0; i < HTTP_SERVER_KINDS; i++) {
		struct http_server *old = admin->servers[i];
		if (admin->keeps[i]) {
			if (http_server_set_group(
				old, master->config.current.admin.group) < 0)
				log_warn("admin: the group of %s stays",
				    http_server_name(old));
			continue;
		}
		if (old != NULL)
			close_with_grace(admin, i);
		admin->servers[i] = admin->planned[i];
		admin->planned[i] = NULL;
		char where[128];
		if (admin->servers[i] != NULL)
			log_info("admin: %s (%s)",
			    http_server_format_address(
				admin->servers[i], where, sizeof(where)),
			    i == HTTP_SERVER_UNIX ? "reads and steers" : "reads");
	}
	admin_listener_discard(master);
}

bool
admin_listener_pause(struct master *master)
{
	struct admin *admin = master->admin;
	size_t inside = 0;
	if (admin->paused_since_ns == 0) {
		admin->paused_since_ns = clock_now_ns();
		pending_requests_flush(master);
	}
	for (int i = 0; i < HTTP_SERVER_KINDS; i++) {
		if (admin->servers[i] != NULL)
			inside += http_server_pause(admin->servers[i]);
	}
	return inside <= pending_requests_list(master, NULL, 0) ||
	    clock_now_ns() - admin->paused_since_ns >= EXEC_WAIT_NS;
}

void
admin_listener_resume(struct master *master)
{
	struct admin *admin = master->admin;
	admin->paused_since_ns = 0;
	for (int i = 0; i < HTTP_SERVER_KINDS; i++) {
		if (admin->servers[i] != NULL)
			http_server_resume(admin->servers[i]);
	}
}

const struct http_server *
admin_listener_server(const struct master *master, enum http_server_kind kind)
{
	return master->admin == NULL ? NULL : master->admin->servers[kind];
}

struct http_server *
admin_listener_install(
    struct master *master, enum http_server_kind kind, const char *name, int fd)
{
	const struct http_server_args args = args_for(master, kind, name);
	struct http_server *http_server = http_server_from_fd(&args, fd);
	if (http_server != NULL)
		master->admin->servers[kind] = http_server;
	return http_server;
}
