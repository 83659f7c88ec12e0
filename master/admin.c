#include "master/admin.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <event2/event_struct.h>

#include "lib/log.h"

#include "net/address.h"

#include "master/metrics.h"
#include "master/reply_http.h"
#include "master/slot.h"
#include "master/stats.h"
#include "master/steering.h"
#include "master/waiting.h"

/* A door that a reload has closed still serves who is inside, until this is over. */
#define FAREWELL_S 2
/* An exec waits so long for the requests that are under way. */
#define HOLD_NS NS_PER_S

struct admin {
	struct door *doors[DOOR_KINDS];
	struct door *planned[DOOR_KINDS];
	bool keeps[DOOR_KINDS]; /* the plan has the same one */
	struct door *leaving[DOOR_KINDS];
	struct event farewell_timer;
	uint64_t held_since_ns; /* 0: the doors are not held */
};

static void
get_stats(const struct master *master, struct evhttp_request *request)
{
	reply_http(request, HTTP_OK, REPLY_HTTP_JSON, stats_write(master));
}

static void
get_workers(const struct master *master, struct evhttp_request *request)
{
	reply_http(request, HTTP_OK, REPLY_HTTP_JSON, stats_write_workers(master));
}

static void
get_metrics(const struct master *master, struct evhttp_request *request)
{
	reply_http(request, HTTP_OK, METRICS_CONTENT_TYPE, metrics_write(master));
}

static void
get_config(const struct master *master, struct evhttp_request *request)
{
	reply_http(
	    request, HTTP_OK, REPLY_HTTP_JSON, config_print_origins(&master->config));
}

/* That this is answered is what it says. */
static void
get_healthz(const struct master *master, struct evhttp_request *request)
{
	(void)master;
	reply_http(request, HTTP_OK, REPLY_HTTP_TEXT, strdup("ok"));
}

static void
get_readyz(const struct master *master, struct evhttp_request *request)
{
	const char *text = "ready";
	if (master->phase == MASTER_STARTING)
		text = "starting";
	else if (master->phase == MASTER_STOPPING)
		text = "draining";
	else if (slot_serving(master) == 0)
		text = "no worker serves";
	bool is_ready = strcmp(text, "ready") == 0;
	reply_http(request, is_ready ? HTTP_OK : HTTP_SERVUNAVAIL, REPLY_HTTP_TEXT,
	    strdup(text));
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

static bool
serve_reading(const struct master *master, struct evhttp_request *request)
{
	const struct evhttp_uri *uri = evhttp_request_get_evhttp_uri(request);
	const char *path = evhttp_uri_get_path(uri);
	for (size_t i = 0; path != NULL && i < ROWS; i++) {
		if (strcmp(rows[i].path, path) != 0)
			continue;
		if (evhttp_request_get_command(request) == EVHTTP_REQ_POST)
			reply_http_refuse_method(
			    master, request, "GET, HEAD", "GET was wanted");
		else
			rows[i].get(master, request);
		return true;
	}
	return false;
}

static void
refuse_path(const struct master *master, struct evhttp_request *request)
{
	char why[128] = "nothing is here; wanted one of";
	for (size_t i = 0, at = strlen(why); i < ROWS && at < sizeof(why); i++)
		at += (size_t)snprintf(why + at, sizeof(why) - at, " %s", rows[i].path);
	reply_http_refuse(master, request, HTTP_NOTFOUND, why);
}

static void
on_request(struct evhttp_request *request, struct door *door)
{
	struct master *master = door_owner(door);
	if (evhttp_request_get_evhttp_uri(request) == NULL)
		reply_http_refuse(master, request, HTTP_BADREQUEST, "no address");
	else if (!serve_reading(master, request) &&
	    !steering_serve(master, door, request))
		refuse_path(master, request);
}

static void
on_farewell(evutil_socket_t fd, short what, void *argument)
{
	(void)fd;
	(void)what;
	struct admin *admin = argument;
	for (int i = 0; i < DOOR_KINDS; i++) {
		door_destroy(admin->leaving[i]);
		admin->leaving[i] = NULL;
	}
}

int
admin_create(struct master *master)
{
	struct admin *admin = calloc(1, sizeof(*admin));
	if (admin == NULL)
		return -1;
	evtimer_assign(&admin->farewell_timer, master->base, on_farewell, admin);
	master->admin = admin;
	return 0;
}

void
admin_destroy(struct master *master)
{
	struct admin *admin = master->admin;
	if (admin == NULL)
		return;
	waiting_finish(master);
	admin_unplan(master);
	on_farewell(-1, 0, admin);
	event_del(&admin->farewell_timer);
	for (int i = 0; i < DOOR_KINDS; i++)
		door_destroy(admin->doors[i]);
	free(admin);
	master->admin = NULL;
}

static const char *
name_in(const struct config *config, enum door_kind kind)
{
	return kind == DOOR_SOCKET ? config->admin.socket : config->admin.address;
}

static struct door_args
args_for(struct master *master, enum door_kind kind, const char *name)
{
	return (struct door_args){ .base = master->base,
		.kind = kind,
		.name = name,
		.serve = on_request,
		.owner = master };
}

/* As the kernel would have it. */
static bool
is_same_place(enum door_kind kind, const char *a, const char *b)
{
	struct address one, other;
	char error[CONFIG_ERROR_MAX];
	if (kind != DOOR_ADDRESS)
		return strcmp(a, b) == 0;
	return address_parse(a, &one, error, sizeof(error)) == 0 &&
	    address_parse(b, &other, error, sizeof(error)) == 0 &&
	    address_equal(&one, &other);
}

static int
plan_door(struct master *master, const struct config *config, enum door_kind kind,
    char *error)
{
	struct admin *admin = master->admin;
	const char *name = name_in(config, kind);
	const struct door *open = admin->doors[kind];
	if (name == NULL)
		return 0;
	admin->keeps[kind] = open != NULL &&
	    is_same_place(kind, door_name(open), name) && door_is_there(open);
	if (admin->keeps[kind])
		return 0;
	const struct door_args args = args_for(master, kind, name);
	struct door *door = door_open(&args, error, CONFIG_ERROR_MAX);
	admin->planned[kind] = door;
	if (door == NULL)
		return -1;
	if (door_set_group(door, config->admin.group) == 0)
		return 0;
	snprintf(error, CONFIG_ERROR_MAX, "admin: cannot give %s to group %s: %s", name,
	    config->admin.group, strerror(errno));
	return -1;
}

int
admin_plan(struct master *master, const struct config *config, char *error)
{
	for (int i = 0; i < DOOR_KINDS; i++) {
		if (plan_door(master, config, (enum door_kind)i, error) < 0) {
			admin_unplan(master);
			return -1;
		}
	}
	return 0;
}

void
admin_unplan(struct master *master)
{
	struct admin *admin = master->admin;
	for (int i = 0; i < DOOR_KINDS; i++) {
		door_destroy(admin->planned[i]);
		admin->planned[i] = NULL;
		admin->keeps[i] = false;
	}
}

static void
say_farewell(struct admin *admin, int kind)
{
	const struct timeval delay = { .tv_sec = FAREWELL_S };
	door_close(admin->doors[kind]);
	door_destroy(admin->leaving[kind]);
	admin->leaving[kind] = admin->doors[kind];
	evtimer_add(&admin->farewell_timer, &delay);
}

void
admin_commit(struct master *master)
{
	struct admin *admin = master->admin;
	for (int i = 0; i < DOOR_KINDS; i++) {
		struct door *old = admin->doors[i];
		if (admin->keeps[i]) {
			if (door_set_group(old, master->config.admin.group) < 0)
				log_warn(
				    "admin: the group of %s stays", door_name(old));
			continue;
		}
		if (old != NULL)
			say_farewell(admin, i);
		admin->doors[i] = admin->planned[i];
		admin->planned[i] = NULL;
		char where[128];
		if (admin->doors[i] != NULL)
			log_info("admin: %s (%s)",
			    door_describe(admin->doors[i], where, sizeof(where)),
			    i == DOOR_SOCKET ? "reads and steers" : "reads");
	}
	admin_unplan(master);
}

bool
admin_hold(struct master *master)
{
	struct admin *admin = master->admin;
	size_t inside = 0;
	if (admin->held_since_ns == 0) {
		admin->held_since_ns = master_now_ns();
		waiting_hurry(master);
	}
	for (int i = 0; i < DOOR_KINDS; i++) {
		if (admin->doors[i] != NULL)
			inside += door_hold(admin->doors[i]);
	}
	return inside <= waiting_list(master, NULL, 0) ||
	    master_now_ns() - admin->held_since_ns >= HOLD_NS;
}

void
admin_release(struct master *master)
{
	struct admin *admin = master->admin;
	admin->held_since_ns = 0;
	for (int i = 0; i < DOOR_KINDS; i++) {
		if (admin->doors[i] != NULL)
			door_release(admin->doors[i]);
	}
}

const struct door *
admin_door(const struct master *master, enum door_kind kind)
{
	return master->admin == NULL ? NULL : master->admin->doors[kind];
}

struct door *
admin_inherit(struct master *master, enum door_kind kind, const char *name, int fd)
{
	const struct door_args args = args_for(master, kind, name);
	struct door *door = door_inherit(&args, fd);
	if (door != NULL)
		master->admin->doors[kind] = door;
	return door;
}
