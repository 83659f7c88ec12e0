/*
 * Requests of operators: bytes on an admin listener (http/http_server.h), through its
 * HTTP server to the routes. The first byte chooses the listener, how a requested
 * change ends, and how the client disconnects; the second byte how the bytes are cut.
 *
 * The changes themselves are not made: this is linked with --wrap for each of them.
 * Only a POST on the Unix socket may request one, and when the client has disconnected
 * no request is pending and no connection is left.
 */
#include <sys/socket.h>
#include <sys/un.h>

#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "net/unix_socket.h"
#include "master/admin/admin_routes.h"
#include "master/changes/pending_requests.h"
#include "master/listeners/admin_listener.h"
#include "master/master.h"
#include "tests/lib/must.h"

#define HEADER_BYTES 2
#define WORKERS_MOST 999999

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int __wrap_reload_start(struct reload *reload);
int __wrap_scale_workers(struct scale *scale, uint32_t count, bool is_forced);
void __wrap_upgrade_start(struct master *master);
int __wrap_rebalance_start(struct rebalance *rebalance);
void __wrap_shutdown_in_order(struct shutdown *shutdown);

static struct master master;
static struct sockaddr_un names[HTTP_SERVER_KINDS];
static socklen_t name_lengths[HTTP_SERVER_KINDS];
static const char *change; /* the last one requested; NULL: none */
static unsigned changes;

static int
note_change(const char *name)
{
	change = name;
	changes++;
	return 0;
}

int
__wrap_reload_start(struct reload *of)
{
	must(of == &master.reload);
	return note_change("reload");
}

int
__wrap_scale_workers(struct scale *of, uint32_t count, bool is_forced)
{
	(void)is_forced;
	must(of == &master.scale && count <= WORKERS_MOST);
	return note_change("scale");
}

void
__wrap_upgrade_start(struct master *of)
{
	must(of == &master);
	note_change("upgrade");
}

int
__wrap_rebalance_start(struct rebalance *of)
{
	must(of == &master.rebalance);
	return note_change("rebalance");
}

void
__wrap_shutdown_in_order(struct shutdown *of)
{
	must(of == &master.shutdown);
	note_change("stop");
}

/* A listening socket in the abstract namespace, named by the kernel. */
static void
open_admin_listener(enum http_server_kind kind)
{
	const struct sockaddr_un any = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	name_lengths[kind] = sizeof(names[kind]);
	must(fd >= 0 &&
	    bind(fd, (const struct sockaddr *)&any, sizeof(sa_family_t)) == 0);
	must(listen(fd, 8) == 0);
	must(
	    getsockname(fd, (struct sockaddr *)&names[kind], &name_lengths[kind]) == 0);
	const struct file_id unknown = { 0 };
	must(admin_listener_install(
		 master.admin, kind, "/nowhere/control.sock", fd, &unknown) == 0);
}

static void
start_master(void)
{
	static const char *const listen[] = { "127.0.0.1:0", NULL };
	const struct config_sources sources = { .listen = listen };
	char error[CONFIG_ERROR_MAX];

	signal(SIGPIPE, SIG_IGN); /* as yodeld does */
	must(config_load(&sources, &master.config.current, error) == 0);
	master.workers.phase = MASTER_RUNNING;
	master.base = event_base_new();
	master.workers.ledger = ledger_create(10000);
	master.workers.slot_count = 2;
	master.workers.config = &master.config;
	must(master.base != NULL && master.workers.ledger != NULL);
	master.pending = (struct pending_requests){ .base = master.base,
		.workers = &master.workers,
		.changes = &master.changes };
	master.admin = admin_listener_create(master.base, admin_routes_serve, &master);
	must(master.admin != NULL);
	open_admin_listener(HTTP_SERVER_UNIX);
	open_admin_listener(HTTP_SERVER_TCP);
}

static void
run_loop(int turns)
{
	while (turns-- > 0)
		must(event_base_loop(master.base, EVLOOP_ONCE | EVLOOP_NONBLOCK) >= 0);
}

static void
end_changes(bool is_good)
{
	for (int i = 0; change != NULL && i < 100; i++) {
		master.changes.last.is_good = is_good;
		master.changes.last.number++;
		snprintf(master.changes.last.text, sizeof(master.changes.last.text),
		    "%s: it is over", change);
		for (int k = 0; k <= CHANGE_STOP; k++) {
			if (strcmp(change_names[k], change) == 0)
				master.changes.last.change =
				    (struct change){ .kind = (enum change_kind)k,
					    .last_request = UINT64_MAX };
		}
		change = NULL;
		pending_requests_on_outcome(
		    &master.pending, &master.changes.last, NULL);
		run_loop(4);
	}
}

/* A response begins with "HTTP/". */
static void
receive(int fd, bool *received)
{
	char piece[4096];
	ssize_t n;

	while ((n = recv(fd, piece, sizeof(piece), MSG_DONTWAIT)) > 0) {
		must(*received || (n >= 5 && memcmp(piece, "HTTP/", 5) == 0));
		*received = true;
	}
}

static void
send_request(int fd, const uint8_t *data, size_t size, size_t step, bool *received)
{
	while (size > 0) {
		size_t length = step < size ? step : size;
		ssize_t n = send(fd, data, length, MSG_NOSIGNAL | MSG_DONTWAIT);
		run_loop(3);
		receive(fd, received);
		if (n <= 0)
			return;
		data += n;
		size -= (size_t)n;
	}
}

static void
disconnect(int fd, enum http_server_kind kind)
{
	struct http_server *http_server =
	    (struct http_server *)admin_listener_server(master.admin, kind);

	close(fd);
	for (int i = 0; i < 100 && http_server_pause(http_server) > 0; i++)
		run_loop(1);
	must(http_server_pause(http_server) == 0 && master.pending.first == NULL);
	http_server_resume(http_server);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size < HEADER_BYTES)
		return 0;
	if (master.base == NULL)
		start_master();
	uint8_t how = data[0];
	enum http_server_kind kind = how & 1 ? HTTP_SERVER_TCP : HTTP_SERVER_UNIX;
	size_t step = data[1] == 0 ? size : data[1];
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool received = false;

	change = NULL;
	changes = 0;
	log_set_level(LOG_LEVEL_ERROR);
	must(connect(fd, (struct sockaddr *)&names[kind], name_lengths[kind]) == 0);
	run_loop(2);
	send_request(fd, data + HEADER_BYTES, size - HEADER_BYTES, step, &received);
	if (how & 2)
		shutdown(fd, SHUT_WR);
	run_loop(2);
	if (how & 4)
		shutdown(fd, SHUT_RDWR);
	end_changes((how & 8) != 0);
	receive(fd, &received);
	disconnect(fd, kind);
	must(changes == 0 || kind == HTTP_SERVER_UNIX);
	must(changes == 0 || memmem(data, size, "POST ", 5) != NULL);
	return 0;
}
