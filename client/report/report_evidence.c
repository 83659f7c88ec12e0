#include "client/report/report_evidence.h"

#include <inttypes.h>

#include "client/report/chart.h"
#include "client/result/result_lost.h"

static void
write_window(const char *label, const uint8_t *data, uint32_t length, FILE *file)
{
	fprintf(file, "<br>%s <code>", label);
	for (uint32_t i = 0; i < length; i++)
		fprintf(file, "%02x ", data[i]);
	fputs("</code>", file);
}

static void
write_mismatches(const struct result *result, FILE *file)
{
	if (result->mismatch_count == 0)
		return;
	fputs("<h2>The first wrong answers</h2>\n", file);
	for (size_t i = 0; i < result->mismatch_count; i++) {
		const struct counters_mismatch *m = &result->mismatches[i];

		fprintf(file,
		    "<p>connection %" PRIu64 ", message %" PRIu64 ", offset %" PRIu64
		    ", ",
		    m->connection, m->message, m->offset);
		chart_text(file, m->local);
		fputs(" at ", file);
		chart_text(file, m->at);
		fputs(": <b>", file);
		chart_text(file, m->looks_like);
		fputs("</b>", file);
		write_window("expected", m->expected, m->expected_length, file);
		write_window("got", m->got, m->got_length, file);
		fputs("</p>\n", file);
	}
}

static void
write_lost_connections(const struct result *result, FILE *file)
{
	char line[RESULT_LOST_TEXT_MAX];

	if (result->lost_connection_count == 0)
		return;
	fputs("<h2>The first lost connections</h2>\n", file);
	for (size_t i = 0; i < result->lost_connection_count; i++) {
		const struct result_lost_connection *lost =
		    &result->lost_connections[i];

		fputs("<p>", file);
		chart_text(file, result_lost_which(lost, line));
		fputs("<br>\n", file);
		chart_text(file, result_lost_what(lost, line));
		fputs("</p>\n", file);
	}
}

void
report_evidence(const struct result *result, FILE *file)
{
	write_lost_connections(result, file);
	write_mismatches(result, file);
}
