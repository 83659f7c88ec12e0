#include "client/live/live_server.h"

#include <sys/queue.h>
#include <sys/socket.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/http.h>

#include "lib/clock.h"
#include "lib/xmalloc.h"
#include "http/http_policy.h"
#include "http/http_response.h"
#include "http/http_server.h"
#include "net/address.h"
#include "client/live/live_metrics.h"
#include "client/report/report_html.h"
#include "client/result/result.h"

#define STREAM_BUFFER_MAX ((size_t)256 << 10) /* bytes that a stream has not read */
#define URL_MAX 128

#define TYPE_HTML "text/html; charset=utf-8"
#define TYPE_METRICS "text/plain; version=0.0.4; charset=utf-8"
#define TYPE_EVENTS "text/event-stream"

/* One client of /events. */
struct event_stream {
	struct event_stream *next;
	struct live_server *server;
	struct evhttp_request *request;
};

/* A text that is made once for each state, whatever the number of clients. */
struct shared_text {
	const char *path, *type; /* path NULL: no response has this text alone */
	void (*write)(const struct live_snapshot *snapshot, FILE *out);
	char *text; /* of the state of time_ns; NULL: none yet */
	uint64_t time_ns;
};

enum { TEXT_REPORT, TEXT_METRICS, TEXT_RESULT, TEXT_EVENT, TEXT_COUNT };

struct live_server {
	struct shared_text texts[TEXT_COUNT];
	struct live_server_args args;
	struct http_server *http;
	struct event_stream *streams;
	unsigned stream_count;
};

static const char *
text_of(struct live_server *server, size_t which, const struct live_snapshot *snapshot)
{
	struct shared_text *shared = &server->texts[which];
	uint64_t begun_ns = clock_cpu_ns();
	size_t size;
	if (shared->text != NULL && shared->time_ns == snapshot->time_ns)
		return shared->text;
	free(shared->text);
	shared->text = NULL;
	FILE *out = xmalloc_check(open_memstream(&shared->text, &size));
	shared->write(snapshot, out);
	if (fclose(out) != 0)
		xmalloc_fail();
	shared->time_ns = snapshot->time_ns;
	live_budget_add_since(server->args.budget, begun_ns);
	return shared->text;
}

static void
write_report(const struct live_snapshot *snapshot, FILE *out)
{
	report_html_main(snapshot->result, out);
}

static void
write_result(const struct live_snapshot *snapshot, FILE *out)
{
	if (result_write_json(snapshot->result, out) < 0)
		xmalloc_fail(); /* a memory stream fails for want of memory only */
}

static void
write_event(const struct live_snapshot *snapshot, FILE *out)
{
	char *event = live_event_format(snapshot);
	fputs(event, out);
	free(event);
}

/* When the figures were true (RFC 9110, 8.8.2), which a budget may make old. */
static void
add_time(struct evhttp_request *request, uint64_t time_ns)
{
	char text[64];
	time_t seconds = (time_t)(time_ns / NS_PER_S);
	struct tm parts;
	if (gmtime_r(&seconds, &parts) != NULL &&
	    evutil_date_rfc1123(text, sizeof(text), &parts) > 0)
		evhttp_add_header(
		    evhttp_request_get_output_headers(request), "Last-Modified", text);
}

static void
send_page(struct live_server *server, struct evhttp_request *request,
    const struct live_snapshot *snapshot)
{
	char nonce[HTTP_POLICY_NONCE_MAX], *text = NULL;
	size_t size;
	if (http_policy_make_nonce(nonce) < 0) {
		http_response_send(request, HTTP_INTERNAL, HTTP_RESPONSE_TEXT,
		    xstrdup("no random numbers"));
		return;
	}
	FILE *out = xmalloc_check(open_memstream(&text, &size));
	report_html_live(
	    snapshot->result, text_of(server, TEXT_REPORT, snapshot), nonce, out);
	if (fclose(out) != 0)
		xmalloc_fail();
	http_policy_add(request, nonce);
	http_response_send(request, HTTP_OK, TYPE_HTML, text);
}

static struct bufferevent *
bufferevent_of(struct evhttp_request *request)
{
	return evhttp_connection_get_bufferevent(
	    evhttp_request_get_connection(request));
}

/* libevent leaves a request whose response has not ended to its user. (Streams are
 * ended before the server is destroyed, which would free their requests.) */
static void
on_stream_closed(struct evhttp_connection *connection, void *argument)
{
	(void)connection;
	struct event_stream *stream = argument, **at = &stream->server->streams;
	while (*at != stream)
		at = &(*at)->next;
	*at = stream->next;
	stream->server->stream_count--;
	if (evhttp_request_get_connection(stream->request) == NULL)
		evhttp_send_reply_end(stream->request);
	free(stream);
}

static void
send_event(struct event_stream *stream, const char *event)
{
	struct bufferevent *bev = bufferevent_of(stream->request);
	size_t unread = evbuffer_get_length(bufferevent_get_output(bev));
	struct evbuffer *chunk = evbuffer_new();
	/* libevent then closes it as if the client had. */
	if (unread > STREAM_BUFFER_MAX)
		shutdown(bufferevent_getfd(bev), SHUT_RDWR);
	else if (unread == 0)
		http_server_set_deadline(
		    stream->server->http, stream->request, HTTP_SERVER_TIMEOUT_S);
	if (chunk != NULL && unread <= STREAM_BUFFER_MAX &&
	    evbuffer_add_printf(chunk, "data: %s\n\n", event) > 0)
		evhttp_send_reply_chunk(stream->request, chunk);
	if (chunk != NULL)
		evbuffer_free(chunk);
}

static void
open_stream(struct live_server *server, struct evhttp_request *request,
    const struct live_snapshot *snapshot)
{
	struct evkeyvalq *headers = evhttp_request_get_output_headers(request);
	if (server->stream_count == LIVE_STREAMS_MAX) {
		evhttp_add_header(headers, "Retry-After", "5");
		http_response_send(request, HTTP_SERVUNAVAIL, HTTP_RESPONSE_TEXT,
		    xasprintf("%d clients of /events, expected at most %d",
			LIVE_STREAMS_MAX, LIVE_STREAMS_MAX));
		return;
	}
	struct event_stream *stream = xcalloc(1, sizeof(*stream));
	*stream = (struct event_stream){ server->streams, server, request };
	server->streams = stream;
	server->stream_count++;
	evhttp_add_header(headers, "Content-Type", TYPE_EVENTS);
	evhttp_add_header(headers, "Cache-Control", "no-store");
	evhttp_add_header(headers, "X-Content-Type-Options", "nosniff");
	evhttp_connection_set_closecb(
	    evhttp_request_get_connection(request), on_stream_closed, stream);
	evhttp_send_reply_start(request, HTTP_OK, NULL);
	send_event(stream, text_of(server, TEXT_EVENT, snapshot));
}

static void
send_not_found(struct evhttp_request *request)
{
	http_response_send(request, HTTP_NOTFOUND, HTTP_RESPONSE_TEXT,
	    xstrdup("expected /, /report, /metrics, /result or /events"));
}

static void
on_request(struct evhttp_request *request, struct http_server *http, void *argument)
{
	(void)http;
	struct live_server *server = argument;
	const char *path = evhttp_uri_get_path(evhttp_request_get_evhttp_uri(request));
	enum evhttp_cmd_type command = evhttp_request_get_command(request);
	if (command != EVHTTP_REQ_GET && command != EVHTTP_REQ_HEAD) {
		http_response_send_bad_method(request, "GET, HEAD", HTTP_RESPONSE_TEXT,
		    xstrdup("expected GET: yodel only reports"));
		return;
	}
	struct live_snapshot snapshot = server->args.snapshot(server->args.context);
	if (snapshot.result == NULL) {
		http_response_send(request, HTTP_SERVUNAVAIL, HTTP_RESPONSE_TEXT,
		    xstrdup("the run has not started"));
		return;
	}
	add_time(request, snapshot.time_ns);
	for (size_t i = 0; i < TEXT_COUNT; i++)
		if (server->texts[i].path != NULL &&
		    strcmp(path, server->texts[i].path) == 0) {
			http_response_send(request, HTTP_OK, server->texts[i].type,
			    xstrdup(text_of(server, i, &snapshot)));
			return;
		}
	if (strcmp(path, "/") == 0)
		send_page(server, request, &snapshot);
	else if (strcmp(path, "/events") == 0 && command == EVHTTP_REQ_GET)
		open_stream(server, request, &snapshot);
	else
		send_not_found(request);
}

/* "8080" and ":8080" are ports of the loopback address. */
static enum http_server_kind
parse_address(const char *text, char out[URL_MAX])
{
	const char *port = text[0] == ':' ? text + 1 : text;
	if (strncmp(text, "unix:", 5) == 0) {
		snprintf(out, URL_MAX, "%s", text + 5);
		return HTTP_SERVER_UNIX;
	}
	bool is_port = port[0] != '\0' && port[strspn(port, "0123456789")] == '\0';
	snprintf(
	    out, URL_MAX, "%s%s", is_port ? "127.0.0.1:" : "", is_port ? port : text);
	return HTTP_SERVER_TCP;
}

bool
live_server_is_address(const char *text)
{
	char name[URL_MAX], error[256];
	struct address address;
	if (parse_address(text, name) == HTTP_SERVER_UNIX)
		return name[0] != '\0';
	return address_parse(name, &address, error, sizeof(error)) == 0 &&
	    !address.is_mptcp;
}

struct live_server *
live_server_open(const struct live_server_args *args, char *error, size_t error_size)
{
	char name[URL_MAX];
	struct live_server *server = xcalloc(1, sizeof(*server));
	const struct http_server_args http = {
		.base = args->base,
		.kind = parse_address(args->address, name),
		.name = name,
		.handler = on_request,
		.argument = server,
	};
	static const struct shared_text texts[TEXT_COUNT] = {
		[TEXT_REPORT] = { .path = "/report",
		    .type = TYPE_HTML,
		    .write = write_report },
		[TEXT_METRICS] = { .path = "/metrics",
		    .type = TYPE_METRICS,
		    .write = live_metrics_write },
		[TEXT_RESULT] = { .path = "/result",
		    .type = HTTP_RESPONSE_JSON,
		    .write = write_result },
		[TEXT_EVENT] = { .write = write_event },
	};
	memcpy(server->texts, texts, sizeof(texts));
	server->args = *args;
	server->http = http_server_open(&http, error, error_size);
	if (server->http != NULL)
		return server;
	free(server);
	return NULL;
}

void
live_server_destroy(struct live_server *server)
{
	if (server == NULL)
		return;
	live_server_end_streams(server);
	http_server_destroy(server->http);
	for (size_t i = 0; i < TEXT_COUNT; i++)
		free(server->texts[i].text);
	free(server);
}

void
live_server_close_in_child(struct live_server *server)
{
	if (server != NULL)
		http_server_close_in_child(server->http);
}

const char *
live_server_url(const struct live_server *server, char *out, size_t size)
{
	char address[URL_MAX];
	http_server_format_address(server->http, address, sizeof(address));
	snprintf(out, size, "%s%s", address,
	    http_server_kind(server->http) == HTTP_SERVER_TCP ? "/" : "");
	return out;
}

void
live_server_send(struct live_server *server, const char *event)
{
	struct event_stream *next;
	for (struct event_stream *stream = server->streams; stream != NULL;
	     stream = next) {
		next = stream->next; /* sending may free a stream */
		send_event(stream, event);
	}
}

void
live_server_end_streams(struct live_server *server)
{
	struct event_stream *stream;
	while ((stream = server->streams) != NULL) {
		evhttp_connection_set_closecb(
		    evhttp_request_get_connection(stream->request), NULL, NULL);
		evhttp_send_reply_end(stream->request);
		server->streams = stream->next;
		server->stream_count--;
		free(stream);
	}
}

unsigned
live_server_streams(const struct live_server *server)
{
	return server->stream_count;
}
