#include "ctl/top.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "lib/log.h"

#include "http/http_client.h"

#include "ctl/ctl_http.h"
#include "ctl/ctl_json.h"
#include "ctl/ctl_show.h"
#include "ctl/terminal.h"
#include "ctl/top_view.h"

enum { FAILED = 1 };

/* What the server said at one moment. */
struct sample {
	json_t *stats; /* NULL: none yet */
	double at_s;
};

/* 0, or what to exit with, and why. */
static int
take_sample(const struct ctl_options *options, struct sample *ret, char *error)
{
	struct http_client_response answer;
	const char *why;
	if (ctl_http_request(options->socket, "GET", "/stats",
		ctl_options_query_timeout_s(options), &answer, error) < 0)
		return EX_UNAVAILABLE;
	if (answer.status != 200) {
		snprintf(error, CTL_ERROR_MAX, "HTTP status %d", answer.status);
		free(answer.body);
		return FAILED;
	}
	ret->stats = ctl_json_load(answer.body, &why);
	ret->at_s = http_client_now_s();
	free(answer.body);
	if (ret->stats != NULL)
		return EX_OK;
	snprintf(error, CTL_ERROR_MAX, "%s", why);
	return FAILED;
}

/* 0, or what to exit with, and why. */
static int
show(const char *text, bool is_terminal, char *error)
{
	if (text == NULL) {
		snprintf(error, CTL_ERROR_MAX, "out of memory");
		return EX_OSERR;
	}
	if (is_terminal) {
		terminal_draw(text);
		return EX_OK;
	}
	if (printf("%s\n", text) >= 0 && fflush(stdout) == 0)
		return EX_OK;
	snprintf(error, CTL_ERROR_MAX, "standard output cannot be written");
	return FAILED;
}

/* Until the next view is due. Other keys than the one that ends it, and a terminal that
 * changes, do not bring it nearer: rates over a moment say nothing. */
static bool
pause_or_quit(double seconds, const char *text, bool is_terminal)
{
	double deadline_s = http_client_now_s() + seconds, left_s;
	while ((left_s = deadline_s - http_client_now_s()) > 0) {
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
	bool is_terminal = rc == EX_OK && terminal_enter(), goes_on = true;
	for (unsigned view = 1; rc == EX_OK && goes_on; view++) {
		char *text =
		    top_view_format(now.stats, before.stats, now.at_s - before.at_s);
		rc = show(text, is_terminal, error);
		goes_on = rc == EX_OK && view != options->frames &&
		    !pause_or_quit(options->interval_s, text, is_terminal);
		free(text);
		json_decref(before.stats);
		before = now;
		if (goes_on)
			rc = take_sample(options, &now, error);
	}
	json_decref(before.stats);
	terminal_leave();
	if (rc != EX_OK)
		log_errorx("%s", error);
	return rc;
}
