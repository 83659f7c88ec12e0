#include "client/survey/survey_text.h"

#include <stdarg.h>
#include <string.h>

#include "lib/units.h"
#include "client/report/text_layout.h"
#include "client/survey_result/survey_threshold.h"

#define COLUMNS 80
#define NAME_AT 4
#define TEXT_AT 21
#define CERTAINTY_AT 68
#define EVIDENCE_MAX 8192

#define PLAIN "\033[0m"
#define BOLD "\033[1m"
#define DIM "\033[2m"
#define YELLOW "\033[33;1m"
#define RED "\033[31;1m"

struct text {
	FILE *file;
	bool has_colour;
};

static void
colour(const struct text *text, const char *sequence)
{
	if (text->has_colour)
		fputs(sequence, text->file);
}

/* Bytes of the words that fit into `width` columns; at least one word. */
static size_t
line_length(const char *words, size_t width)
{
	size_t length = strlen(words), last = 0;
	if (length <= width)
		return length;
	for (size_t i = 0; i <= width; i++)
		if (words[i] == ' ')
			last = i;
	if (last > 0)
		return last;
	return strcspn(words, " ");
}

/* Writes the words from column `at`, the first line of which is written up to there,
 * and calls after_first (a certainty) at the end of the first line. */
static void
wrap(const struct text *text, const char *words, int at, size_t width,
    const char *after_first)
{
	bool is_first = true;
	do {
		size_t length = line_length(words, width);
		if (!is_first)
			fprintf(text->file, "%*s", at, "");
		fprintf(text->file, "%.*s", (int)length, words);
		if (is_first && after_first != NULL) {
			int pad = CERTAINTY_AT - at - (int)length;
			fprintf(text->file, "%*s", pad > 1 ? pad : 1, "");
			colour(text, DIM);
			fputs(after_first, text->file);
			colour(text, PLAIN);
		}
		fputc('\n', text->file);
		words += length;
		words += strspn(words, " ");
		is_first = false;
	} while (*words != '\0');
}

__attribute__((format(printf, 4, 5))) static void
add(char *buffer, size_t size, size_t *length, const char *format, ...)
{
	va_list args;
	if (*length >= size)
		return;
	va_start(args, format);
	int n = vsnprintf(buffer + *length, size - *length, format, args);
	va_end(args);
	*length += n > 0 ? (size_t)n : 0;
}

static void
add_trials(char *buffer, size_t size, size_t *length, const char *name,
    const struct bracket_trial *trials, uint32_t count)
{
	if (count == 0)
		return;
	add(buffer, size, length, "%s%s:", *length > 0 ? "; " : "", name);
	for (uint32_t i = 0; i < count; i++)
		if (trials[i].fate != BRACKET_UNKNOWN)
			add(buffer, size, length, " %.4g s %s%s%s", trials[i].idle_s,
			    bracket_fate_names[trials[i].fate],
			    trials[i].unasked ? " (unasked)" : "",
			    i + 1 < count ? "," : "");
}

const char *
survey_text_evidence(const struct survey_result *result, enum survey_row_id id,
    char *buffer, size_t size)
{
	const struct survey_row *row = &result->rows[id];
	size_t length = 0;
	buffer[0] = '\0';
	for (uint32_t i = 0; i < row->value_count; i++) {
		const struct survey_value *v = &row->values[i];
		if (strcmp(v->field->name, "answer") == 0)
			continue;
		add(buffer, size, &length, "%s%s ", length > 0 ? ", " : "",
		    v->field->name);
		if (v->field->kind == SURVEY_COUNT)
			add(buffer, size, &length, "%.0f", v->number);
		else if (v->field->kind == SURVEY_REAL)
			add(buffer, size, &length, "%.6g", v->number);
		else
			add(buffer, size, &length, "%s", v->text);
	}
	if (id == SURVEY_idle) {
		add_trials(buffer, size, &length, "client first", result->client_first,
		    result->client_first_count);
		add_trials(buffer, size, &length, "server first", result->server_first,
		    result->server_first_count);
	} else if (id == SURVEY_half_closed) {
		add_trials(buffer, size, &length, "trials", result->half_closed,
		    result->half_closed_count);
	}
	return buffer;
}

static void
write_below(const struct text *text, const char *words, const char *sequence)
{
	if (words[0] == '\0')
		return;
	fprintf(text->file, "%*s", TEXT_AT, "");
	colour(text, sequence);
	wrap(text, words, TEXT_AT, COLUMNS - TEXT_AT - 1, NULL);
	colour(text, PLAIN);
}

/* "half_close_back" is "half close back". */
static void
write_name(const struct text *text, const char *id, bool is_marked)
{
	char name[32];
	snprintf(name, sizeof(name), "%s", id);
	for (char *at = name; *at != '\0'; at++)
		if (*at == '_')
			*at = ' ';
	fputs("  ", text->file);
	if (is_marked)
		colour(text, YELLOW);
	fputs(is_marked ? "! " : "  ", text->file);
	fprintf(text->file, "%-*s", TEXT_AT - NAME_AT, name);
	if (is_marked)
		colour(text, PLAIN);
}

static void
write_row(const struct text *text, const struct survey_result *result,
    enum survey_row_id id, bool is_verbose)
{
	const struct survey_row *row = &result->rows[id];
	char certainty[32], line[SURVEY_TEXT_MAX], evidence[EVIDENCE_MAX];
	write_name(text, survey_row_kinds[id].id, row->mark[0] != '\0');
	wrap(text, row->text, TEXT_AT, CERTAINTY_AT - TEXT_AT - 1,
	    survey_certainty_text(row, certainty));
	write_below(text, row->reason, DIM);
	if (row->norm != NULL && row->norm_at_least_s > 0) {
		snprintf(line, sizeof(line), "%s: at least %.0f s", row->norm,
		    row->norm_at_least_s);
		write_below(text, line, DIM);
	}
	write_below(text, row->mark, "");
	if (is_verbose)
		write_below(text,
		    survey_text_evidence(result, id, evidence, sizeof(evidence)), DIM);
}

static bool
is_answered(const struct survey_row *row)
{
	return row->certainty != SURVEY_NOT_ASKED;
}

static void
write_group(const struct text *text, const struct survey_result *result,
    enum survey_group group, bool is_verbose)
{
	bool has_title = false;
	for (int i = 0; i < SURVEY_ROW_COUNT; i++) {
		if (survey_row_kinds[i].group != group ||
		    !is_answered(&result->rows[i]))
			continue;
		if (!has_title) {
			fputs("\n  ", text->file);
			colour(text, BOLD);
			fputs(survey_group_names[group], text->file);
			colour(text, PLAIN);
			fputc('\n', text->file);
		}
		has_title = true;
		write_row(text, result, (enum survey_row_id)i, is_verbose);
	}
}

/* Rows with the same reason share a line. */
static void
write_not_asked(const struct text *text, const struct survey_result *result)
{
	bool is_written[SURVEY_ROW_COUNT] = { false }, has_title = false;
	for (int i = 0; i < SURVEY_ROW_COUNT; i++) {
		char line[1024];
		size_t length = 0;
		if (is_answered(&result->rows[i]) || is_written[i])
			continue;
		if (!has_title) {
			fputs("\n  ", text->file);
			colour(text, BOLD);
			fputs("Not asked", text->file);
			colour(text, PLAIN);
			fputc('\n', text->file);
		}
		has_title = true;
		const char *reason = result->rows[i].reason;
		add(line, sizeof(line), &length, "%s: ", reason);
		for (int j = i; j < SURVEY_ROW_COUNT; j++) {
			if (is_answered(&result->rows[j]) ||
			    strcmp(result->rows[j].reason, reason) != 0)
				continue;
			add(line, sizeof(line), &length, "%s%s", j > i ? ", " : "",
			    survey_row_kinds[j].id);
			is_written[j] = true;
		}
		fprintf(text->file, "%*s", NAME_AT, "");
		wrap(text, line, NAME_AT, COLUMNS - NAME_AT - 1, NULL);
	}
}

static void
write_thresholds(const struct text *text, const struct survey_result *result)
{
	if (result->threshold_count > 0)
		fputc('\n', text->file);
	for (uint32_t i = 0; i < result->threshold_count; i++) {
		const struct survey_threshold_outcome *t = &result->thresholds[i];
		fprintf(text->file, "  threshold \"%s\": ", t->threshold.text);
		colour(text, t->passed ? "" : RED);
		fputs(t->passed ? "passed" : "FAILED", text->file);
		colour(text, PLAIN);
		fprintf(
		    text->file, " (%s%s)\n", t->has_answer ? "found " : "", t->found);
	}
}

static void
write_sums(const struct text *text, const struct survey_result *result)
{
	char bytes[UNITS_TEXT_MAX], line[SURVEY_TEXT_MAX];
	uint32_t marked = survey_marked(result);
	size_t length = 0;
	fputc('\n', text->file);
	if (result->fast_s > 0 && result->took_s > result->fast_s + 1)
		add(line, sizeof(line), &length, "%.1f s for all but Time; ",
		    result->fast_s);
	add(line, sizeof(line), &length,
	    "%.1f s in all, %llu connections (%llu at most at a time), %s.",
	    result->took_s, (unsigned long long)result->connections,
	    (unsigned long long)result->connections_open_most,
	    units_show_size(result->bytes, bytes));
	if (marked > 0)
		add(line, sizeof(line), &length, " %u row%s to look at (!).", marked,
		    marked == 1 ? "" : "s");
	wrap(text, line, 0, COLUMNS - 1, NULL);
	if (result->is_interrupted)
		fputs("Interrupted: this is what is known so far.\n", text->file);
	if (result->disturbed[0] != '\0') {
		char note[SURVEY_TEXT_MAX + 16];
		snprintf(note, sizeof(note), "Disturbed: %s.", result->disturbed);
		wrap(text, note, 0, COLUMNS - 1, NULL);
	}
	if (result->failure[0] != '\0') {
		colour(text, RED);
		wrap(text, result->failure, 0, COLUMNS - 1, NULL);
		colour(text, PLAIN);
	}
}

void
survey_text(const struct survey_result *result, bool is_verbose, FILE *file)
{
	const struct text text = { .file = file,
		.has_colour = text_layout_of(file).has_colour };
	if (result->server[0] != '\0') {
		char line[SURVEY_TEXT_MAX];
		snprintf(
		    line, sizeof(line), "%s is %s", result->address, result->server);
		wrap(&text, line, 0, COLUMNS - 1, NULL);
	}
	for (int group = 0; group <= SURVEY_GROUP_COUNTERS; group++)
		write_group(&text, result, (enum survey_group)group, is_verbose);
	write_not_asked(&text, result);
	write_thresholds(&text, result);
	write_sums(&text, result);
}
