#include "proto/conversation/conversation_describe.h"

#include <inttypes.h>

#include "lib/escape.h"
#include "lib/units.h"

#define TEXT_SHOWN_MAX 256 /* bytes of a literal */

struct description {
	const struct conversation *conversation;
	enum conversation_role role;
	FILE *out;
};

static void
print_bytes(const struct description *description, uint32_t at, uint32_t length)
{
	char text[TEXT_SHOWN_MAX];
	fprintf(description->out, "\"%s\"",
	    escape_encode(
		description->conversation->bytes + at, length, text, sizeof(text)));
}

/* Name of the bytes that a part captures or says again. */
static const char *
name_of(const struct description *description, uint16_t part)
{
	const struct conversation *conversation = description->conversation;
	uint16_t slot = conversation->parts[part].slot;
	return slot == CONVERSATION_NONE ? "" : conversation->slot_names[slot];
}

static void
print_add(const struct description *description, int64_t add)
{
	if (add != 0)
		fprintf(description->out, "%+" PRId64, add);
}

/* "message+1" */
static void
print_term(const struct description *description, const struct conversation_part *part)
{
	FILE *out = description->out;
	switch ((enum conversation_term)part->term) {
	case CONVERSATION_TERM_CONNECTION:
		fputs("connection", out);
		break;
	case CONVERSATION_TERM_MESSAGE:
		fputs("message", out);
		break;
	case CONVERSATION_TERM_PID:
		fputs("pid", out);
		break;
	case CONVERSATION_TERM_REFERENCE:
		fputs(name_of(description, part->reference), out);
		break;
	case CONVERSATION_TERM_LENGTH:
		fputs("length", out);
		break;
	case CONVERSATION_TERM_FREE:
	case CONVERSATION_TERM_CONSTANT:
		fprintf(out, "%" PRIu64, part->number);
		break;
	}
	print_add(description, part->add);
}

static void
print_number(const struct description *description,
    const struct conversation_part *part, bool says)
{
	static const char *const forms[CONVERSATION_FORM_COUNT] = { "u8", "u16be",
		"u16le", "u24be", "u24le", "u32be", "u32le", "u64be", "u64le", "varint",
		"decimal", "hex" };
	FILE *out = description->out;
	bool is_known = part->term == CONVERSATION_TERM_CONSTANT ||
	    part->term == CONVERSATION_TERM_REFERENCE ||
	    part->term == CONVERSATION_TERM_LENGTH;
	fprintf(out, "%s ", forms[part->form]);
	if (says || is_known)
		print_term(description, part);
	else
		fputs("any number", out);
}

static void
print_payload(
    const struct description *description, const struct conversation_part *part)
{
	char min[UNITS_TEXT_MAX], max[UNITS_TEXT_MAX];
	fprintf(description->out, "%s", units_format_size(part->at, min));
	if (part->at != part->length)
		fprintf(
		    description->out, " to %s", units_format_size(part->length, max));
	fprintf(
	    description->out, " bytes of%s payload", part->is_binary ? " binary" : "");
}

static void
print_alternatives(const struct description *description,
    const struct conversation_part *part, bool says)
{
	const struct conversation_choice *choices =
	    &description->conversation->choices[part->at];
	uint32_t count = says ? 1 : part->length;
	for (uint32_t i = 0; i < count; i++) {
		if (i > 0)
			fputs(" | ", description->out);
		print_bytes(description, choices[i].at, choices[i].length);
	}
}

static void
print_any(const struct description *description, const struct conversation_part *part,
    bool says)
{
	if (!says)
		fputs("any text", description->out);
	else if (part->length == 0)
		fputs("nothing", description->out);
	else if (part->is_captured)
		fprintf(
		    description->out, "%" PRIu32 " random characters", part->length);
	else
		fputs("ok", description->out);
}

/* The inside of <...>. */
static void
print_placeholder(const struct description *description,
    const struct conversation_part *part, bool says)
{
	FILE *out = description->out;
	switch ((enum conversation_kind)part->kind) {
	case CONVERSATION_NUMBER:
		print_number(description, part, says);
		break;
	case CONVERSATION_RANDOM:
		fprintf(out, "%" PRIu32 " random characters", part->length);
		break;
	case CONVERSATION_PAYLOAD:
		print_payload(description, part);
		break;
	case CONVERSATION_REFERENCE:
		fputs(name_of(description, part->reference), out);
		break;
	case CONVERSATION_ANY:
		print_any(description, part, says);
		break;
	case CONVERSATION_BYTES:
		fputs(says ? "\"x\" times " : "any bytes, ", out);
		print_term(description, part);
		break;
	case CONVERSATION_ALTERNATIVES:
		print_alternatives(description, part, says);
		break;
	default:
		break;
	}
}

static void
print_control(const struct description *description,
    const struct conversation_part *part, bool says)
{
	char text[UNITS_TEXT_MAX];
	FILE *out = description->out;
	switch ((enum conversation_kind)part->kind) {
	case CONVERSATION_PAUSE:
		fprintf(out, " %s %s", says ? "waits" : "other side waits",
		    units_format_duration(part->number, text));
		break;
	case CONVERSATION_HALF_CLOSE:
		fputs(says ? " half-close" : " end of the stream", out);
		break;
	case CONVERSATION_CLOSE:
		fputs(says ? " close" : " end of the stream", out);
		break;
	default:
		fputs(" reset", out);
		break;
	}
}

static void
print_part(const struct description *description, uint16_t at, bool says)
{
	const struct conversation_part *part = &description->conversation->parts[at];
	const char *name = name_of(description, at);
	FILE *out = description->out;
	switch ((enum conversation_kind)part->kind) {
	case CONVERSATION_LITERAL:
		fputc(' ', out);
		print_bytes(description, part->at, part->length);
		return;
	case CONVERSATION_GROUP_BEGIN:
		fputs(" {", out);
		return;
	case CONVERSATION_GROUP_END:
		fputs(" }", out);
		return;
	case CONVERSATION_STAR_BEGIN:
		fputs(" zero or more:", out);
		return;
	case CONVERSATION_STAR_END:
		return;
	case CONVERSATION_PAUSE:
	case CONVERSATION_HALF_CLOSE:
	case CONVERSATION_CLOSE:
	case CONVERSATION_RESET:
		print_control(description, part, says);
		return;
	default:
		fprintf(out, " <%s%s", name, name[0] != '\0' ? ": " : "");
		print_placeholder(description, part, says);
		fputc('>', out);
	}
}

static void
print_step(const struct description *description, const struct conversation_step *step)
{
	const struct conversation *conversation = description->conversation;
	bool says = step->speaker == description->role;
	fprintf(description->out, "%7" PRIu32 "  %-5s", step->line,
	    says ? "says" : "hears");
	if (step->name != CONVERSATION_NONE)
		fprintf(
		    description->out, " [%s]", conversation->step_names[step->name]);
	if (step->is_repeated && says) {
		fputs(" nothing (zero of the lines that may be repeated)\n",
		    description->out);
		return;
	}
	for (uint16_t i = step->first; i < step->end; i++)
		print_part(description, i, says);
	fputc('\n', description->out);
}

void
conversation_describe(
    const struct conversation *conversation, enum conversation_role role, FILE *out)
{
	static const char *const titles[] = { "opening, once per connection",
		"each pass", "end, once per connection" };
	const struct description description = {
		.conversation = conversation, .role = role, .out = out
	};
	fprintf(out, "%s\n", role == CONVERSATION_CLIENT ? "client" : "server");
	for (int section = 0; section < CONVERSATION_SECTION_COUNT; section++) {
		const struct conversation_range *range =
		    &conversation->sections[section];
		if (range->first < range->end)
			fprintf(out, "  %s\n", titles[section]);
		for (uint16_t i = 0; i < conversation->step_count; i++)
			if (conversation->steps[i].first >= range->first &&
			    conversation->steps[i].first < range->end)
				print_step(&description, &conversation->steps[i]);
	}
}
