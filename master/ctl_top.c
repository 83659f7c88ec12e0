#include "master/ctl_top.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <sysexits.h>

#include "lib/http.h"
#include "lib/log.h"

#include "master/ctl_http.h"
#include "master/ctl_json.h"
#include "master/ctl_show.h"
#include "master/ctl_terminal.h"
#include "master/ctl_view.h"

#define PATIENCE_S 10

/* What the server said at one moment. */
struct sample {
	json_t *stats; /* NULL: none yet */
	double at_s;
};

static int
take_sample(const struct ctl_options *options, struct sample *ret, char *error)
{
	struct http_answer answer;
	const char *why;
	if (ctl_http_ask(options->socket, "GET", "/stats", PATIENCE_S, &answer, error) <
	    0)
		return -1;
	ret->stats = ctl_json_load(answer.body, &why);
	ret->at_s = http_now_s();
	free(answer.body);
	if (ret->stats != NULL)
		return 0;
	snprintf(error, CTL_ERROR_MAX, "%s", why);
	return -1;
}

/* --- again and again ----------------------------------------------------------------
 */

static void
show(const char *text, bool is_terminal)
{
	if (text != NULL && is_terminal)
		ctl_terminal_draw(text);
	else if (text != NULL)
		printf("%s\n", text);
	fflush(stdout);
}

/* Until the next view is due. Other keys than the one that ends it, and a terminal that
 * changes, do not bring it nearer: rates over a moment say nothing. */
static bool
pause_or_quit(double seconds, const char *text, bool is_terminal)
{
	double deadline_s = http_now_s() + seconds, left_s;
	while ((left_s = deadline_s - http_now_s()) > 0) {
		int key = ctl_terminal_wait_key(left_s);
		if (key == 'q' || key == 'Q')
			return true;
		if (key == CTL_TERMINAL_REDRAW && is_terminal)
			show(text, is_terminal);
	}
	return false;
}

/* Shows what is now, and waits. False when that was the last view. */
static bool
show_and_pause(const struct ctl_options *options, const struct sample *now,
    const struct sample *before, bool is_terminal, bool is_last)
{
	char *text =
	    ctl_view_format(now->stats, before->stats, now->at_s - before->at_s);
	show(text, is_terminal);
	bool goes_on =
	    !is_last && !pause_or_quit(options->interval_s, text, is_terminal);
	free(text);
	return goes_on;
}

int
ctl_top(const struct ctl_options *options)
{
	struct sample before = { .stats = NULL }, now;
	char error[CTL_ERROR_MAX];
	if (take_sample(options, &now, error) < 0) {
		log_errorx("%s", error);
		return EX_UNAVAILABLE;
	}
	bool is_terminal = ctl_terminal_enter();
	int rc = 0;
	for (unsigned frame = 1; rc == 0; frame++) {
		bool goes_on = show_and_pause(
		    options, &now, &before, is_terminal, frame == options->frames);
		json_decref(before.stats);
		before = now;
		if (!goes_on)
			break;
		rc = take_sample(options, &now, error);
	}
	json_decref(before.stats);
	ctl_terminal_leave();
	if (rc < 0)
		log_errorx("%s", error);
	return rc < 0 ? EX_UNAVAILABLE : EX_OK;
}
