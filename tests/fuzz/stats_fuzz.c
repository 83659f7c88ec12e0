/*
 * stats_fuzz - replies of a server as yodelctl and yodel read them.
 *
 * First byte of the input: bit 0: the rest is a body, to which an HTTP head is added
 * (so that the JSON parser is reached), else the rest is the whole reply; bit 1: the
 * server does not close the connection after it. A NUL separates the replies before and
 * after a run.
 *
 * connect() is wrapped: each socket is one end of a pair whose other end has sent the
 * whole reply. Checked: printed text has no control characters, errors are one line,
 * and two ledgers in the right order are reconciled.
 */
#include <sys/socket.h>

#include <errno.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "http/http_client.h"
#include "client/report/report_summary.h"
#include "client/result/reconcile.h"
#include "client/result/result.h"
#include "ctl/ctl_config.h"
#include "ctl/ctl_json.h"
#include "ctl/ctl_show.h"
#include "ctl/top.h"
#include "tests/fuzz/descriptors.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length);

#define ERROR_MAX 512

static int far_end = -1;
static const uint8_t *words; /* the response of the server */
static size_t word_count;
static bool has_head, stays;

static void
put(const void *bytes, size_t length)
{
	while (length > 0) {
		ssize_t n = send(far_end, bytes, length, MSG_NOSIGNAL);
		must(n > 0);
		bytes = (const uint8_t *)bytes + n;
		length -= (size_t)n;
	}
}

int
__wrap_connect(int fd, const struct sockaddr *address, socklen_t length)
{
	char head[128];
	int fds[2];

	(void)address;
	(void)length;
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	must(dup2(fds[0], fd) == fd);
	close(fds[0]);
	far_end = fds[1];
	snprintf(head, sizeof(head), "HTTP/1.1 200 OK\r\nContent-Length: %zu\r\n\r\n",
	    word_count);
	if (has_head)
		put(head, strlen(head));
	put(words, word_count);
	if (!stays)
		must(shutdown(far_end, SHUT_WR) == 0);
	return 0;
}

static void
close_server(void)
{
	if (far_end >= 0)
		close(far_end);
	far_end = -1;
}

static void
check_plain(const char *text, bool is_one_line)
{
	must(text[0] != '\0' || !is_one_line);
	for (const char *c = text; *c != '\0'; c++)
		must((unsigned char)*c >= ' ' || (*c == '\n' && !is_one_line));
	must(strstr(text, "\302\233") == NULL && strchr(text, '\177') == NULL);
}

static json_t *
ask_as_yodelctl(void)
{
	char error[CTL_ERROR_MAX] = "";
	struct http_client_response answer;

	int rc = ctl_json_request(
	    "/nowhere", "GET", "/stats", stays ? 0.001 : 10, &answer, error);
	close_server();
	if (rc != 0) {
		check_plain(error, true);
		return NULL;
	}
	json_t *json = json_loads(answer.body, 0, NULL);
	free(answer.body);
	return json;
}

static char *
ask_as_yodel(void)
{
	char error[ERROR_MAX] = "";
	const struct http_client_request request = {
		.server = "unix:/nowhere",
		.method = "GET",
		.target = "/stats",
		.timeout_ns = stays ? NS_PER_MS : 5 * NS_PER_S,
	};
	struct http_client_response response;
	enum http_client_status status =
	    http_client_send(&request, &response, error, sizeof(error));

	close_server();
	if (status != HTTP_CLIENT_OK) {
		check_plain(error, true);
		return NULL;
	}
	return response.body;
}

static void
show_all(const json_t *now, const json_t *before)
{
	static const ctl_show_function showers[] = { ctl_show_status, ctl_show_stats,
		ctl_show_workers, ctl_config_show };
	static const double elapsed_s[] = { 1, 1e-9, 0 };

	for (size_t i = 0; i < sizeof(showers) / sizeof(showers[0]); i++) {
		char *text = ctl_show_printable(showers[i], now);
		must(text != NULL);
		check_plain(text, false);
		free(text);
	}
	for (size_t i = 0; i < sizeof(elapsed_s) / sizeof(elapsed_s[0]); i++) {
		char *text = top_format(now, before, elapsed_s[i]);
		must(text != NULL);
		check_plain(text, false);
		free(text);
	}
}

static bool
read_ledger(const char *body, struct server_totals *ret)
{
	char error[ERROR_MAX] = "";
	bool is_read =
	    body != NULL && reconcile_read_totals(body, ret, error, sizeof(error)) == 0;

	if (body != NULL && !is_read)
		check_plain(error, true);
	return is_read;
}

static void
reconcile(const struct server_totals *before, const struct server_totals *after)
{
	char text[REPORT_SUMMARY_MAX];
	const struct reconcile_server server = {
		.where = "unix:/nowhere", .before = *before, .after = *after
	};
	struct result result = { 0 };

	result.plan.framing = strdup("line");
	result.plan.expect = strdup("echo");
	reconcile_servers(&result, &server, 1);
	report_summary_ledger(&result, text);
	check_plain(text, true);
	/* This client opened no connection: any that was accepted is unexplained. */
	must(after->connections_accepted == before->connections_accepted ||
	    !reconcile_is_consistent(&result));
	result_ledger_clear(&result);
	free(result.plan.framing);
	free(result.plan.expect);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (size == 0)
		return 0;
	struct server_totals ledgers[2];
	json_t *response[2] = { NULL, NULL };
	bool is_read[2];
	uint64_t open = open_descriptors();
	const uint8_t *end = data + size, *at = data + 1;
	const uint8_t *middle = memchr(at, '\0', size - 1);

	has_head = data[0] & 1;
	/* Advances the clock, as waiting does. */
	stays = (data[0] & 2) && size < 64;
	for (int i = 0; i < 2; i++) {
		words = at;
		word_count = (size_t)((middle == NULL || i == 1 ? end : middle) - at);
		if (middle != NULL && i == 0)
			at = middle + 1;
		response[i] = ask_as_yodelctl();
		char *body = stays ? NULL : ask_as_yodel();
		is_read[i] = read_ledger(body, &ledgers[i]);
		free(body);
	}
	if (response[1] != NULL)
		show_all(response[1], response[0]);
	if (is_read[0] && is_read[1] && reconcile_is_later(&ledgers[1], &ledgers[0]))
		reconcile(&ledgers[0], &ledgers[1]);
	json_decref(response[0]);
	json_decref(response[1]);
	must(open_descriptors() == open);
	return 0;
}
