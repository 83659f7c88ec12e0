#include "proto/faults/fault.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/units.h"

const struct fault_kind_row fault_kinds[] = {
#define X(id, word, where, takes, text)                                                \
	{ .name = word,                                                                \
		.help = text,                                                          \
		.scope = FAULT_SCOPE_##where,                                          \
		.argument = FAULT_TAKES_##takes },
	FAULT_KINDS(X)
#undef X
};

const char *const fault_laws[] = {
	[FAULT_LAW_CONSTANT] = "constant",
	[FAULT_LAW_UNIFORM] = "uniform",
	[FAULT_LAW_NORMAL] = "normal",
	[FAULT_LAW_EXPONENTIAL] = "exponential",
	[FAULT_LAW_PARETO] = "pareto",
	[FAULT_LAW_COUNT] = NULL,
};

enum fault_kind
fault_kind_parse(const char *name)
{
	int kind = 0;
	while (kind < FAULT_KIND_COUNT && strcmp(fault_kinds[kind].name, name) != 0)
		kind++;
	return (enum fault_kind)kind;
}

/* Text that grows. */
struct writer {
	char *text;
	size_t length;
};

static void write_text(struct writer *writer, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

static void
write_text(struct writer *writer, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	int n = vsnprintf(writer->text + writer->length,
	    FAULT_TEXT_MAX - writer->length, format, arguments);
	va_end(arguments);
	writer->length += (size_t)n;
	if (writer->length >= FAULT_TEXT_MAX)
		writer->length = FAULT_TEXT_MAX - 1;
}

static void
write_time(struct writer *writer, const char *before, uint64_t ns)
{
	char text[UNITS_TEXT_MAX];
	write_text(writer, "%s%s", before,
	    ns == FAULT_FOR_EVER ? "for ever" : units_format_duration(ns, text));
}

static void
write_law(struct writer *writer, const struct fault *fault)
{
	if (fault->law != FAULT_LAW_CONSTANT)
		write_text(writer, " %s", fault_laws[fault->law]);
	write_time(writer, " ", fault->a_ns);
	if (fault->law == FAULT_LAW_UNIFORM)
		write_time(writer, "..", fault->b_ns);
	if (fault->law == FAULT_LAW_NORMAL)
		write_time(writer, " ", fault->b_ns);
	if (fault->law == FAULT_LAW_PARETO)
		write_text(writer, " %.6g", fault->shape);
}

static void
write_argument(struct writer *writer, const struct fault *fault)
{
	const char *plural = fault->count == 1 ? "" : "s";
	switch (fault_kinds[fault->kind].argument) {
	case FAULT_TAKES_NOTHING:
		return;
	case FAULT_TAKES_LAW:
		write_law(writer, fault);
		return;
	case FAULT_TAKES_STALL:
		if (fault->scope == FAULT_SCOPE_LISTENER)
			write_text(writer, " listener");
		write_time(writer, " ", fault->time_ns);
		return;
	case FAULT_TAKES_TIME:
		write_time(writer, " ", fault->time_ns);
		return;
	case FAULT_TAKES_RATE:
		write_text(writer, " %" PRIu64 " bytes/s", fault->count);
		return;
	case FAULT_TAKES_BYTES:
	case FAULT_TAKES_BYTES_OR_BITS:
		write_text(writer, " %" PRIu64 " %s%s", fault->count,
		    fault->is_bits ? "bit" : "byte", plural);
		return;
	case FAULT_TAKES_COUNT:
		write_text(writer, " %" PRIu64, fault->count);
		return;
	}
}

static void
write_share(struct writer *writer, const struct fault *fault)
{
	uint64_t unit = FAULT_SHARE_ALL / 100;
	char fraction[FAULT_SHARE_DIGITS + 2];
	if (fault->share == FAULT_SHARE_ALL)
		return;
	snprintf(fraction, sizeof(fraction), ".%07u", (unsigned)(fault->share % unit));
	size_t length = strlen(fraction);
	while (fraction[length - 1] == '0')
		fraction[--length] = '\0';
	write_text(writer, " on %" PRIu64 "%s%%", fault->share / unit,
	    length > 1 ? fraction : "");
	if (fault->scope != FAULT_SCOPE_ACCEPT)
		write_text(writer, " of %s",
		    fault->share_of_messages ? "messages" : "connections");
}

static void
write_prefix(struct writer *writer, const struct address_prefix *prefix)
{
	struct address_compact compact = { .family = prefix->family };
	char text[ADDRESS_TEXT_MAX];
	memcpy(compact.bytes, prefix->bytes, sizeof(compact.bytes));
	address_format_compact(&compact, text);
	/* Without the port, and the brackets of IPv6. */
	bool is_ipv6 = prefix->family == AF_INET6;
	const char *begin = is_ipv6 ? text + 1 : text;
	size_t length = strcspn(begin, is_ipv6 ? "]" : ":");
	write_text(writer, " from %.*s/%u", (int)length, begin, prefix->bits);
}

const char *
fault_format(const struct fault *fault, char *buffer)
{
	struct writer writer = { .text = buffer };
	write_text(&writer, "%s", fault_kinds[fault->kind].name);
	write_argument(&writer, fault);
	if (fault->at_message != 0)
		write_text(&writer, " at message %" PRIu64, fault->at_message);
	if (fault->every != 0)
		write_text(&writer, " every %" PRIu64, fault->every);
	if (fault->has_after_bytes)
		write_text(&writer, " after %" PRIu64 " bytes", fault->after_bytes);
	if (fault->to_ns != FAULT_FOR_EVER) {
		write_time(&writer, " between ", fault->from_ns);
		write_time(&writer, " and ", fault->to_ns);
	} else if (fault->from_ns != 0) {
		write_time(&writer, " after ", fault->from_ns);
	}
	write_share(&writer, fault);
	if (fault->has_from)
		write_prefix(&writer, &fault->from);
	return buffer;
}
