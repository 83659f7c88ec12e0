#include "client/survey/survey_ledger.h"

#include <sys/prctl.h>
#include <sys/wait.h>

#include <errno.h>
#include <fcntl.h>
#include <jansson.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/json/json_load.h"
#include "lib/log.h"
#include "http/http_client.h"
#include "client/probes/far_end.h"

#define TIMEOUT_S 5
#define EACH 5 /* connections that are reset; and closed */
#define SETTLE_NS (500 * NS_PER_MS)
#define ERROR_MAX 256
#define LOOK_NS (5 * NS_PER_MS) /* between looks at the child */

struct totals {
	double accepted, reset, peer_closed, received; /* received: bytes */
};

/* A member of "totals", also of an object in it. */
static double
total(const json_t *totals, const char *object, const char *key)
{
	const json_t *from = object != NULL ? json_object_get(totals, object) : totals;
	return json_number_value(json_object_get(from, key));
}

/* 0, or -1 with one line in error[ERROR_MAX]. */
static int
read_totals(const char *where, struct totals *ret, char *error)
{
	const struct http_client_request request = { .server = where,
		.method = "GET",
		.target = "/stats",
		.timeout_ns = TIMEOUT_S * NS_PER_S };
	struct http_client_response response;
	if (http_client_send(&request, &response, error, ERROR_MAX) != HTTP_CLIENT_OK)
		return -1;
	json_t *root = json_load_text(response.body, strlen(response.body), 0, NULL);
	const json_t *totals = json_object_get(root, "totals");
	bool is_read = response.status == 200 && json_is_object(totals);
	if (is_read)
		*ret = (struct totals){
			.accepted = total(totals, NULL, "connections_accepted"),
			.reset = total(totals, "connections_closed", "reset"),
			.peer_closed =
			    total(totals, "connections_closed", "peer_closed"),
			.received = total(totals, NULL, "bytes_received"),
		};
	else
		snprintf(error, ERROR_MAX,
		    "HTTP status %d, expected 200 and /stats of yodeld",
		    response.status);
	json_decref(root);
	free(response.body);
	return is_read ? 0 : -1;
}

int
survey_ledger_check(const struct survey_plan *plan)
{
	struct totals totals;
	char error[ERROR_MAX];
	if (plan->ledger == NULL || read_totals(plan->ledger, &totals, error) == 0)
		return 0;
	log_errorx("--ledger %s: %s", plan->ledger, error);
	return EX_UNAVAILABLE;
}

/* --- the same while the loop of the survey runs --- */

/* Result of the child, sent in one write(2). */
struct reading {
	bool is_read;
	struct totals totals;
	char error[ERROR_MAX];
};

static void
read_in_child(const char *where, int fd)
{
	struct reading reading = { .is_read = false };
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	reading.is_read = read_totals(where, &reading.totals, reading.error) == 0;
	ssize_t written = write(fd, &reading, sizeof(reading));
	_exit(written == (ssize_t)sizeof(reading) ? 0 : 1);
}

/* As read_totals(), by a child process, since nothing else can end the resolving of a
 * name: Ctrl-C and the end of the survey do. */
static int
read_totals_beside(
    struct survey *survey, const char *where, struct totals *ret, char *error)
{
	struct survey_loop *loop = &survey->loop;
	struct reading reading = { .is_read = false };
	int fds[2];
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) < 0) {
		snprintf(error, ERROR_MAX, "%s", strerror(errno));
		return -1;
	}
	pid_t child = fork();
	if (child == 0)
		read_in_child(where, fds[1]);
	close(fds[1]);
	ssize_t got = child < 0 ? 0 : -1;
	uint64_t until_ns = clock_now_ns() + (TIMEOUT_S + 1) * NS_PER_S;
	while (got < 0 && loop->now_ns < until_ns && !survey_loop_is_over(loop)) {
		survey_loop_sleep(loop, LOOK_NS);
		got = read(fds[0], &reading, sizeof(reading));
	}
	close(fds[0]);
	if (child > 0) {
		(void)kill(child, SIGKILL);
		(void)waitpid(child, NULL, 0);
	}
	if (got == (ssize_t)sizeof(reading) && reading.is_read)
		*ret = reading.totals;
	else if (got == (ssize_t)sizeof(reading))
		snprintf(error, ERROR_MAX, "%s", reading.error);
	else if (!survey_loop_is_over(loop))
		snprintf(error, ERROR_MAX, "no answer");
	return reading.is_read ? 0 : -1;
}

/* Opens one, sends a line, and ends it. 1 if it was open. */
static uint32_t
end_one(struct survey *survey, bool resets)
{
	struct survey_conn *conn = far_end_open(survey, NULL, NULL);
	if (conn == NULL)
		return 0;
	(void)far_end_is_alive(survey, conn, far_end_patience(survey));
	if (resets)
		survey_conn_reset(&survey->loop, conn);
	else
		survey_conn_close(&survey->loop, conn);
	return 1;
}

static void
conclude(struct survey *survey, uint32_t resets, uint32_t closes,
    const struct totals *before, const struct totals *after)
{
	struct survey_result *result = survey->result;
	double accepted = after->accepted - before->accepted;
	double reset = after->reset - before->reset;
	double closed = after->peer_closed - before->peer_closed;
	survey_set_number(result, SURVEY_ledger, "accepted", accepted);
	survey_set_number(result, SURVEY_ledger, "reset", reset);
	survey_set_number(result, SURVEY_ledger, "peer_closed", closed);
	if (accepted != resets + closes) {
		survey_conclude(result, SURVEY_ledger,
		    accepted > resets + closes ? "unclear" : "differs", SURVEY_SEEN,
		    "%u connections were opened, the server accepted %.0f: %s",
		    resets + closes, accepted,
		    accepted > resets + closes
			? "another client, or the path opens its own"
			: "something else accepts");
		return;
	}
	bool is_passed = reset >= resets;
	survey_set_word(
	    result, SURVEY_ledger, "reset_passed", is_passed ? "yes" : "no");
	survey_conclude(result, SURVEY_ledger, is_passed ? "agrees" : "differs",
	    SURVEY_PROVED,
	    "%.0f accepted as opened; of %u resets %.0f arrived as RST, %.0f ended by FIN",
	    accepted, resets, reset, closed);
}

void
survey_ledger_probe(struct survey *survey)
{
	struct survey_result *result = survey->result;
	const char *where = survey->plan->ledger;
	struct totals before, after;
	char error[ERROR_MAX] = "";
	uint32_t resets = 0, closes = 0;
	/* Connections that the survey closed before must be counted. */
	survey_loop_sleep(&survey->loop, SETTLE_NS);
	if (read_totals_beside(survey, where, &before, error) == 0) {
		for (int i = 0; i < EACH; i++)
			resets += end_one(survey, true);
		for (int i = 0; i < EACH; i++)
			closes += end_one(survey, false);
		survey_loop_sleep(&survey->loop, SETTLE_NS + survey->answer_ns);
		if (read_totals_beside(survey, where, &after, error) == 0 &&
		    resets + closes > 0)
			conclude(survey, resets, closes, &before, &after);
	}
	if (survey->result->rows[SURVEY_ledger].certainty == SURVEY_NOT_ASKED &&
	    error[0] != '\0')
		survey_not_asked(result, SURVEY_ledger, "--ledger: %s", error);
}
