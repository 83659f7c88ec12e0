#include "client/report/report_tls.h"

#include <stdio.h>
#include <string.h>

#include "lib/printable.h"
#include "lib/units.h"

const char *
report_tls_verification(const struct result *result, char *out)
{
	const struct result_plan *plan = &result->plan;
	out[0] = '\0';
	if (plan->tls && plan->tls_insecure)
		snprintf(out, REPORT_LINE_MAX,
		    "NOT VERIFIED: any certificate was accepted (--tls-insecure)");
	else if (plan->tls)
		snprintf(out, REPORT_LINE_MAX, "%s: %.400s",
		    result->tls.handshakes > 0 ? "verified" : "required",
		    plan->tls_verification);
	printable_sanitize(out);
	return out;
}

static bool
is_kind(const struct result_tls_count *count, enum counters_tls_kind kind)
{
	return strcmp(count->kind, counters_tls_kind_names[kind]) == 0;
}

/* "X25519 (48), P-256 (2)"; without numbers if all connections have the same. */
static void
add_kind(
    struct report_line *line, const struct result *result, enum counters_tls_kind kind)
{
	char number[UNITS_TEXT_MAX];
	for (size_t i = 0; i < result->tls_count_count; i++) {
		const struct result_tls_count *count = &result->tls_counts[i];
		if (!is_kind(count, kind))
			continue;
		if (count->connections == result->tls.handshakes)
			report_line_add(line, "%.64s", count->text);
		else
			report_line_add(line, "%.64s (%s)", count->text,
			    units_show_count(count->connections, number));
	}
}

static void
write_negotiated(const struct result *result, char *out)
{
	struct report_line line = report_line_start(out);
	if (result->tls.handshakes == 0)
		return;
	for (int kind = COUNTERS_TLS_VERSION; kind <= COUNTERS_TLS_PROTOCOL; kind++)
		add_kind(&line, result, (enum counters_tls_kind)kind);
}

static void
write_handshakes(const struct result *result, char *out)
{
	const struct result_tls *tls = &result->tls;
	struct report_line line = report_line_start(out);
	char texts[3][UNITS_TEXT_MAX];
	if (tls->handshakes == 0)
		return;
	report_line_add(&line, "%s handshake%s",
	    units_show_count(tls->handshakes, texts[0]),
	    report_line_plural(tls->handshakes));
	if (result->plan.tls_resume > 0)
		report_line_add(&line, "%s of %s that offered a session resumed it",
		    units_show_count(tls->resumed, texts[0]),
		    units_show_count(tls->offered, texts[1]));
	report_line_add(&line, "%s sent and %s received in records",
	    units_show_size(tls->record_bytes_sent, texts[0]),
	    units_show_size(tls->record_bytes_received, texts[1]));
	report_line_add(&line, "%s in handshakes",
	    units_show_size(
		tls->handshake_bytes_sent + tls->handshake_bytes_received, texts[2]));
}

static void
write_ends(const struct result *result, char *out)
{
	const struct result_tls *tls = &result->tls;
	struct report_line line = report_line_start(out);
	char number[UNITS_TEXT_MAX];
	if (tls->truncated > 0)
		report_line_add(&line,
		    "truncated: %s stream%s ended without close_notify",
		    units_show_count(tls->truncated, number),
		    report_line_plural(tls->truncated));
	if (tls->alerts > 0)
		report_line_add(&line, "%s ended by an alert from the peer",
		    units_show_count(tls->alerts, number));
	if (tls->bad_records > 0)
		report_line_add(&line, "%s ended by a bad record",
		    units_show_count(tls->bad_records, number));
}

static void
write_lost_keys(const struct result *result, char *out)
{
	char number[UNITS_TEXT_MAX];
	uint64_t lost = result->tls.lost_keys;
	if (lost > 0)
		snprintf(out, REPORT_LINE_MAX,
		    "key log: %s line%s could not be written",
		    units_show_count(lost, number), report_line_plural(lost));
}

static void
write_failure(const struct result_tls_count *count, char *out)
{
	char number[UNITS_TEXT_MAX];
	units_show_count(count->connections, number);
	if (is_kind(count, COUNTERS_TLS_FAILURE))
		snprintf(out, REPORT_LINE_MAX, "%s handshake%s failed: %.400s", number,
		    report_line_plural(count->connections), count->text);
	else if (is_kind(count, COUNTERS_TLS_ALERT))
		snprintf(out, REPORT_LINE_MAX, "%s alert%s in handshakes: %.400s",
		    number, report_line_plural(count->connections), count->text);
	else if (is_kind(count, COUNTERS_TLS_ERROR))
		snprintf(out, REPORT_LINE_MAX, "%s connection%s ended: %.400s", number,
		    report_line_plural(count->connections), count->text);
}

static void
write_certificate(const struct result_certificate *certificate, char *out)
{
	struct report_line line = report_line_start(out);
	report_line_add(&line, "%.64s: %s %.100s", certificate->target,
	    certificate->position == 0 ? "certificate" : "chain", certificate->subject);
	if (certificate->position == 0 && certificate->names[0] != '\0')
		report_line_add(&line, "for %.100s", certificate->names);
	report_line_add(&line, "issued by %.100s", certificate->issuer);
	report_line_add(&line, "%.32s, valid until %.10s", certificate->key,
	    certificate->not_after);
	if (certificate->position == 0)
		report_line_add(&line, "SHA-256 %.64s", certificate->sha256);
}

bool
report_tls_line(const struct result *result, size_t index, char *out)
{
	static void (*const summaries[])(const struct result *, char *) = {
		write_negotiated,
		write_handshakes,
		write_ends,
		write_lost_keys,
	};
	size_t count = sizeof(summaries) / sizeof(summaries[0]);
	out[0] = '\0';
	if (!result->plan.tls)
		return false;
	if (index < count) {
		summaries[index](result, out);
	} else if (index - count < result->tls_count_count) {
		write_failure(&result->tls_counts[index - count], out);
	} else {
		index -= count + result->tls_count_count;
		if (index >= result->certificate_count)
			return false;
		write_certificate(&result->certificates[index], out);
	}
	printable_sanitize(out);
	return true;
}
