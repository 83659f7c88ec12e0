#include "client/survey/survey_html.h"

#include <math.h>
#include <string.h>

#include "lib/units.h"
#include "client/report/chart.h"
#include "client/report/report_style.h"
#include "client/survey/survey_text.h"
#include "client/survey_result/survey_threshold.h"

#define EVIDENCE_MAX 8192
#define LANE 34
#define TICKS_TOP 26 /* above the lanes: the axis of time */

/* clang-format off */
static const char style[] =
    "table.rows{table-layout:auto}.rows td{text-align:left;vertical-align:top}.rows td:first-child{white-space:nowrap;font-weight:600}.rows td:last-child{white-space:nowrap;color:var(--dim)}\n"
    ".mark{border-left:4px solid var(--warn);padding-left:8px;margin:4px 0}summary{color:var(--dim);font-size:13px;cursor:pointer}\n"
    ".alive{fill:var(--good)}.silence{stroke:var(--bad);stroke-width:3;fill:none}.rst{fill:var(--bad)}.fin{fill:var(--warn)}.known{stroke:var(--c0);stroke-width:1;stroke-dasharray:2 3}svg text.label{fill:var(--c0)}\n"
    "@media(max-width:600px){.rows tr{display:block;padding:6px 0;border-bottom:1px solid var(--line)}.rows td{display:block;border:0;padding:1px 0}.wide{display:none}.narrow text{font-size:12px!important}}\n"
    "@media(min-width:601px){.narrow{display:none}}\n";
/* clang-format on */

/* Idle timeouts that are documented for products (yodel-survey(1)). */
static const struct {
	double s;
	const char *name;
} known_values[] = {
	{ 30, "30 s Cloud NAT, transitory" },
	{ 60, "60 s Linux, half-closed" },
	{ 240, "240 s Azure" },
	{ 350, "350 s AWS" },
	{ 600, "600 s nginx" },
	{ 900, "900 s IPVS" },
	{ 3600, "1 h Envoy, firewalls" },
	{ 7440, "2 h 4 min RFC 5382" },
};

/* --- rows --- */

static void
write_head(const struct survey_result *result, FILE *file)
{
	char started[UNITS_TEXT_MAX];
	fputs("<!doctype html>\n<html lang=\"en\">\n<head><meta charset=\"utf-8\">\n"
	      "<meta name=\"viewport\" content=\"width=device-width\">\n"
	      "<link rel=\"icon\" href=\"data:,\">\n<title>yodel survey: ",
	    file);
	chart_text(file, result->target);
	fprintf(file,
	    "</title>\n<style>\n%s%s</style>\n</head>\n<body>\n<h1>survey of ",
	    report_style, style);
	chart_text(file, result->target);
	fputs("</h1>\n<p class=\"dim\">", file);
	chart_text(file, result->address);
	if (result->server[0] != '\0') {
		fputs(" is ", file);
		chart_text(file, result->server);
	}
	fprintf(file, "; %s; %.1f s, %llu connections</p>\n",
	    units_format_time(result->started_ns, 0, started), result->took_s,
	    (unsigned long long)result->connections);
}

static void
write_note(const char *label, const char *text, FILE *file)
{
	if (text[0] == '\0')
		return;
	fprintf(file, "<p class=\"verdict bad\">%s", label);
	chart_text(file, text);
	fputs("</p>\n", file);
}

static void
write_name(const char *id, FILE *file)
{
	for (; *id != '\0'; id++)
		fputc(*id == '_' ? ' ' : *id, file);
}

static void
write_row(const struct survey_result *result, enum survey_row_id id, FILE *file)
{
	const struct survey_row *row = &result->rows[id];
	char certainty[32], evidence[EVIDENCE_MAX];
	fprintf(file, "<tr id=\"%s\"><td>", survey_row_kinds[id].id);
	write_name(survey_row_kinds[id].id, file);
	fputs("</td><td>", file);
	chart_text(file, row->text);
	if (row->norm != NULL && row->norm_at_least_s > 0)
		fprintf(file, "<br>\n<span class=\"dim\">%s: at least %.0f s</span>",
		    row->norm, row->norm_at_least_s);
	if (row->mark[0] != '\0') {
		fputs("\n<p class=\"mark\">", file);
		chart_text(file, row->mark);
		fputs("</p>", file);
	}
	survey_text_evidence(result, id, evidence, sizeof(evidence));
	fputs("\n<details><summary>", file);
	chart_text(file, survey_row_kinds[id].question);
	fputs("</summary><code>", file);
	chart_text(file, evidence);
	fprintf(file, "</code></details></td><td>%s</td></tr>\n",
	    survey_certainty_text(row, certainty));
}

static void
write_group(const struct survey_result *result, enum survey_group group, FILE *file)
{
	bool has_title = false;
	for (int i = 0; i < SURVEY_ROW_COUNT; i++) {
		if (survey_row_kinds[i].group != group ||
		    result->rows[i].certainty == SURVEY_NOT_ASKED)
			continue;
		if (!has_title)
			fprintf(file, "<h2>%s</h2>\n<table class=\"rows\">\n",
			    survey_group_names[group]);
		has_title = true;
		write_row(result, (enum survey_row_id)i, file);
	}
	if (has_title)
		fputs("</table>\n", file);
}

static void
write_not_asked(const struct survey_result *result, FILE *file)
{
	fputs("<h2>Not asked</h2>\n<table class=\"rows\">\n", file);
	for (int i = 0; i < SURVEY_ROW_COUNT; i++) {
		if (result->rows[i].certainty != SURVEY_NOT_ASKED)
			continue;
		fputs("<tr><td>", file);
		write_name(survey_row_kinds[i].id, file);
		fputs("</td><td>", file);
		chart_text(file, result->rows[i].reason);
		fputs("</td><td></td></tr>\n", file);
	}
	fputs("</table>\n", file);
}

static void
write_thresholds(const struct survey_result *result, FILE *file)
{
	if (result->threshold_count == 0)
		return;
	fputs("<h2>Thresholds</h2>\n<table class=\"left\">\n", file);
	for (uint32_t i = 0; i < result->threshold_count; i++) {
		const struct survey_threshold_outcome *t = &result->thresholds[i];
		fputs("<tr><td><code>", file);
		chart_text(file, t->threshold.text);
		fprintf(file, "</code></td><td class=\"%s\">%s</td><td>",
		    t->passed ? "good" : "bad", t->passed ? "passed" : "FAILED");
		chart_text(file, t->found);
		fputs("</td></tr>\n", file);
	}
	fputs("</table>\n", file);
}

/* --- the ladder --- */

/* One drawing for wide pages and one for narrow ones. */
struct drawing {
	const char *class;
	double width, left; /* left of the axis: the names of the lanes */
	bool names_above;   /* the lanes, in place of left of them */
	int known_rows;     /* of labels below the lanes */
};

static const struct drawing drawings[] = {
	{ "wide", 860, 100, false, 3 },
	{ "narrow", 358, 12, true, 8 },
};

#define LOW_S 0.8 /* of the axis of time, logarithmic */
#define HIGH_S 9000

static double
x_of(const struct drawing *to, double s)
{
	if (s < LOW_S)
		s = LOW_S;
	return to->left +
	    (to->width - to->left - 20) * log(s / LOW_S) / log(HIGH_S / LOW_S);
}

static void
write_mark(
    FILE *file, const struct drawing *to, const struct bracket_trial *trial, double y)
{
	double x = x_of(to, trial->idle_s);
	switch (trial->fate) {
	case BRACKET_ALIVE:
		fprintf(file,
		    "<circle class=\"alive\" cx=\"%.1f\" cy=\"%.1f\" r=\"5\">", x, y);
		break;
	case BRACKET_SILENCE:
		fprintf(file,
		    "<path class=\"silence\" d=\"M%.1f %.1fl10 10m0 -10l-10 10\">",
		    x - 5, y - 5);
		break;
	case BRACKET_RESET:
		fprintf(
		    file, "<path class=\"rst\" d=\"M%.1f %.1fl6 11h-12z\">", x, y - 6);
		break;
	case BRACKET_FIN:
		fprintf(file,
		    "<rect class=\"fin\" x=\"%.1f\" y=\"%.1f\" width=\"9\" height=\"9\">",
		    x - 4.5, y - 4.5);
		break;
	default:
		return;
	}
	fprintf(file, "<title>%.4g s: %s%s</title></%s>\n", trial->idle_s,
	    bracket_fate_names[trial->fate],
	    trial->unasked ? ", before anything was said" : "",
	    trial->fate == BRACKET_ALIVE     ? "circle"
		: trial->fate == BRACKET_FIN ? "rect"
					     : "path");
}

static void
write_lane(FILE *file, const struct drawing *to, const char *name,
    const struct bracket_trial *trials, uint32_t count, int lane)
{
	double y = TICKS_TOP + LANE * (lane + 0.5);
	fprintf(file, "<text x=\"0\" y=\"%.1f\">%s</text>\n",
	    to->names_above ? y - 9 : y + 4, name);
	fprintf(file,
	    "<line class=\"grid\" x1=\"%.0f\" x2=\"%.0f\" y1=\"%.1f\" y2=\"%.1f\"/>\n",
	    to->left, to->width, y, y);
	for (uint32_t i = 0; i < count; i++)
		write_mark(file, to, &trials[i], y);
}

static void
write_times(FILE *file, const struct drawing *to, int bottom)
{
	static const struct {
		double s;
		const char *label;
	} ticks[] = { { 1, "1 s" }, { 10, "10 s" }, { 60, "1 min" }, { 600, "10 min" },
		{ 3600, "1 h" } };
	for (size_t i = 0; i < sizeof(ticks) / sizeof(ticks[0]); i++) {
		double x = x_of(to, ticks[i].s);
		fprintf(file,
		    "<line class=\"grid\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/><text x=\"%.1f\" y=\"14\" text-anchor=\"middle\">%s</text>\n",
		    x, x, TICKS_TOP - 6, bottom, x, ticks[i].label);
	}
}

static void
write_known(FILE *file, const struct drawing *to, int bottom)
{
	for (size_t i = 0; i < sizeof(known_values) / sizeof(known_values[0]); i++) {
		double x = x_of(to, known_values[i].s);
		int y = bottom + 14 + 15 * (int)(i % to->known_rows);
		fprintf(file,
		    "<line class=\"known\" x1=\"%.1f\" x2=\"%.1f\" y1=\"%d\" y2=\"%d\"/><text class=\"label\" x=\"%.1f\" y=\"%d\" text-anchor=\"%s\">%s</text>\n",
		    x, x, TICKS_TOP, y - 10, x, y,
		    x > to->width - 130 ? "end" : "middle", known_values[i].name);
	}
}

/* The connections of one kind, side by side. */
struct lane {
	const char *name;
	const struct bracket_trial *trials;
	uint32_t count;
};
#define LANES 3

static void
write_drawing(
    const struct drawing *to, const struct lane lanes[LANES], int used, FILE *file)
{
	int lane = 0, bottom = TICKS_TOP + LANE * used;
	fprintf(file,
	    "<svg class=\"%s\" viewBox=\"0 0 %.0f %d\" role=\"img\" aria-label=\"idle times, and whether the connection was alive after them\">\n",
	    to->class, to->width, bottom + 15 * to->known_rows + 8);
	write_times(file, to, bottom);
	write_known(file, to, bottom);
	for (size_t i = 0; i < LANES; i++)
		if (lanes[i].count > 0)
			write_lane(file, to, lanes[i].name, lanes[i].trials,
			    lanes[i].count, lane++);
	fputs("</svg>\n", file);
}

static void
write_ladder(const struct survey_result *result, FILE *file)
{
	const struct lane lanes[LANES] = {
		{ "client first", result->client_first, result->client_first_count },
		{ "server first", result->server_first, result->server_first_count },
		{ "half-closed", result->half_closed, result->half_closed_count },
	};
	int used = 0;
	for (size_t i = 0; i < LANES; i++)
		used += lanes[i].count > 0;
	if (used == 0)
		return;
	fputs("<h2>Idle connections</h2>\n", file);
	for (size_t i = 0; i < sizeof(drawings) / sizeof(drawings[0]); i++)
		write_drawing(&drawings[i], lanes, used, file);
	fputs(
	    "<p class=\"dim\">A mark for each connection, after the time that it was idle: circle alive, cross silence, triangle RST, square FIN. Dashed: documented timeouts.</p>\n",
	    file);
}

int
survey_html(const struct survey_result *result, FILE *file)
{
	write_head(result, file);
	write_note("Not surveyed: ", result->failure, file);
	write_note("Disturbed: ", result->disturbed, file);
	write_note("",
	    result->is_interrupted ? "Interrupted: this is what was known." : "", file);
	write_thresholds(result, file);
	write_ladder(result, file);
	for (int group = 0; group <= SURVEY_GROUP_COUNTERS; group++)
		write_group(result, (enum survey_group)group, file);
	write_not_asked(result, file);
	fputs("</body>\n</html>\n", file);
	return fflush(file) != 0 || ferror(file) ? -1 : 0;
}
