#include "ctl/top.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "lib/clock.h"
#include "lib/log.h"

#include "http/http_client.h"

#include "ctl/ctl_json.h"
#include "ctl/ctl_show.h"
#include "ctl/terminal.h"
#include "ctl/top_view.h"

enum { FAILED = 1 };

struct sample {
	json_t *stats; /* NULL: none yet */
	double at_s;
};

/* 0, or an exit status with the reason in error. */
static int
take_sample(const struct ctl_options *options, struct sample *ret, char *error)
{
	struct http_client_response answer;
	if (ctl_json_request(options->socket, "GET", "/stats",
		ctl_options_query_timeout_s(options), &answer, error) < 0)
		return EX_UNAVAILABLE;
	if (answer.status != 200) {
		snprintf(error, CTL_ERROR_MAX, "HTTP status %d", answer.status);
		free(answer.body);
		return FAILED;
	}
	ret->stats = ctl_json_load(answer.body);
	ret->at_s = clock_now_s();
	free(answer.body);
	if (ret->stats != NULL)
		return EX_OK;
	snprintf(error, CTL_ERROR_MAX, "%s", CTL_JSON_ERROR);
	return FAILED;
}

/* As above. */
static int
show(const char *text, bool is_terminal, char *error)
{
	if (is_terminal) {
		terminal_draw(text);
		return EX_OK;
	}
	if (printf("%s\n", text) >= 0 && fflush(stdout) == 0)
		return EX_OK;
	snprintf(error, CTL_ERROR_MAX, "cannot write to standard output");
	return FAILED;
}

/* Waits until the next view is due; true if `q` was pressed. Neither other keys nor a
 * resize bring it forward, because rates over a short moment mean nothing. */
static bool
wait_for_quit(double seconds, const char *text, bool is_terminal)
{
	double deadline_s = clock_now_s() + seconds, left_s;
	while ((left_s = deadline_s - clock_now_s()) > 0) {
		int key = terminal_wait_key(left_s);
		if (key == 'q' || key == 'Q')
			return true;
		if (key == TERMINAL_REDRAW && is_terminal)
			terminal_draw(text);
	}
	return false;
}

int
top_run(const struct ctl_options *options)
{
	struct sample before = { .stats = NULL }, now;
	char error[CTL_ERROR_MAX];
	int rc = take_sample(options, &now, error);
	bool is_terminal = rc == EX_OK && terminal_enter(), is_running = true;
	for (unsigned view = 1; rc == EX_OK && is_running; view++) {
		char *text =
		    top_view_format(now.stats, before.stats, now.at_s - before.at_s);
		rc = show(text, is_terminal, error);
		is_running = rc == EX_OK && view != options->frames &&
		    !wait_for_quit(options->interval_s, text, is_terminal);
		free(text);
		json_decref(before.stats);
		before = now;
		if (is_running)
			rc = take_sample(options, &now, error);
	}
	json_decref(before.stats);
	terminal_leave();
	if (rc != EX_OK)
		log_errorx("%s", error);
	return rc;
}
