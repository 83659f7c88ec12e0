#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "lib/units.h"
#include "proto/conversation/conversation_compiler.h"

/* Reads the inside of a placeholder. */
struct reader {
	struct compiler *compiler;
	const char *start, *at, *end;
};

static const struct {
	const char *name;
	enum conversation_form form;
	uint8_t bits;
} forms[] = {
	{ "u8", CONVERSATION_U8, 8 },
	{ "u16be", CONVERSATION_U16BE, 16 },
	{ "u16le", CONVERSATION_U16LE, 16 },
	{ "u24be", CONVERSATION_U24BE, 24 },
	{ "u24le", CONVERSATION_U24LE, 24 },
	{ "u32be", CONVERSATION_U32BE, 32 },
	{ "u32le", CONVERSATION_U32LE, 32 },
	{ "u64be", CONVERSATION_U64BE, 64 },
	{ "u64le", CONVERSATION_U64LE, 64 },
	{ "varint", CONVERSATION_VARINT, 28 },
	{ "decimal", CONVERSATION_DECIMAL, 64 },
};
#define FORM_COUNT (sizeof(forms) / sizeof(*forms))

static const struct {
	const char *name;
	enum conversation_term term;
} terms[] = {
	{ "connection", CONVERSATION_TERM_CONNECTION },
	{ "message", CONVERSATION_TERM_MESSAGE },
	{ "pid", CONVERSATION_TERM_PID },
	{ "length", CONVERSATION_TERM_LENGTH },
};
#define TERM_COUNT (sizeof(terms) / sizeof(*terms))

static void
skip_blanks(struct reader *reader)
{
	while (reader->at < reader->end && (*reader->at == ' ' || *reader->at == '\t'))
		reader->at++;
}

/* Letters, digits and "_"; empty if the text begins with another byte. */
static struct word
read_word(struct reader *reader)
{
	skip_blanks(reader);
	struct word word = { .text = reader->at };
	while (reader->at < reader->end &&
	    (isalnum((unsigned char)*reader->at) || *reader->at == '_'))
		reader->at++;
	word.length = (size_t)(reader->at - word.text);
	return word;
}

static bool
fail_expecting(struct reader *reader, const char *where, const char *expected)
{
	char quote[SOURCE_QUOTE_MAX];
	return source_fail(&reader->compiler->source, where, "found %s, expected %s",
	    where < reader->end ? source_quote(where, reader->end, quote) : "}",
	    expected);
}

/* Nothing may follow. */
static bool
expect_end(struct reader *reader)
{
	skip_blanks(reader);
	return reader->at == reader->end || fail_expecting(reader, reader->at, "}");
}

/* A size as units_parse_size() reads it, from min to max. */
static bool
read_size(struct reader *reader, uint64_t min, uint64_t max, uint64_t *ret)
{
	char text[UNITS_TEXT_MAX], quote[SOURCE_QUOTE_MAX];
	struct word word = read_word(reader);
	snprintf(text, sizeof(text), "%.*s", (int)word.length, word.text);
	if (word.length < sizeof(text) && units_parse_size(text, ret) == 0 &&
	    *ret >= min && *ret <= max)
		return true;
	return source_fail(&reader->compiler->source, word.text,
	    "found %s, expected a size from %" PRIu64 " to %" PRIu64,
	    word.length > 0 ? source_quote(word.text, word.text + word.length, quote)
			    : "}",
	    min, max);
}

static struct conversation_part *
add_part(struct reader *reader, enum conversation_kind kind)
{
	return builder_add_part(reader->compiler, kind, reader->start - 2);
}

/* Marks a part as one whose bytes must be kept; conversation_check numbers them. */
static void
refer(struct compiler *compiler, uint16_t part)
{
	compiler->out->parts[part].slot = 0;
}

/* A number: decimal, or hexadecimal with 0x. */
static bool
read_number(struct reader *reader, uint64_t *ret)
{
	struct word word = read_word(reader);
	bool is_hex = word.length > 2 && word.text[0] == '0' && word.text[1] == 'x';
	uint64_t value = 0;
	bool is_valid = word.length > 0;
	for (size_t i = is_hex ? 2 : 0; i < word.length; i++) {
		char c = (char)tolower((unsigned char)word.text[i]);
		uint64_t digit = c >= '0' && c <= '9' ? (uint64_t)(c - '0')
		    : is_hex && c >= 'a' && c <= 'f'  ? (uint64_t)(c - 'a') + 10
						      : 99;
		is_valid &= digit < 99 &&
		    !__builtin_mul_overflow(value, is_hex ? 16 : 10, &value) &&
		    !__builtin_add_overflow(value, digit, &value);
	}
	*ret = value;
	return is_valid ||
	    fail_expecting(
		reader, word.text, "a number from 0 to 18446744073709551615");
}

/* The name of a number that was captured. */
static bool
read_reference(
    struct reader *reader, const struct word *name, struct conversation_part *part)
{
	struct compiler *compiler = reader->compiler;
	uint16_t at = names_find(compiler, name);
	if (at == CONVERSATION_NONE)
		return names_fail_unknown(compiler, name);
	if (compiler->out->parts[at].kind != CONVERSATION_NUMBER)
		return source_fail(&compiler->source, name->text,
		    "found \"%.*s\", which is text, expected a number",
		    (int)name->length, name->text);
	part->term = CONVERSATION_TERM_REFERENCE;
	part->reference = at;
	refer(compiler, at);
	return true;
}

static bool
read_term(struct reader *reader, struct conversation_part *part)
{
	skip_blanks(reader);
	const char *start = reader->at;
	struct word word = read_word(reader);
	if (word.length == 0)
		return fail_expecting(reader, start,
		    "a number, a name, length, message, connection or pid");
	if (isdigit((unsigned char)*start)) {
		reader->at = start;
		part->term = CONVERSATION_TERM_CONSTANT;
		return read_number(reader, &part->number);
	}
	for (size_t i = 0; i < TERM_COUNT; i++) {
		if (!names_is_word(&word, terms[i].name))
			continue;
		part->term = (uint8_t)terms[i].term;
		return true;
	}
	return read_reference(reader, &word, part);
}

/* A term, and perhaps a constant that is added or subtracted. */
static bool
read_expression(struct reader *reader, struct conversation_part *part)
{
	uint64_t constant;
	if (!read_term(reader, part))
		return false;
	skip_blanks(reader);
	if (reader->at == reader->end)
		return true;
	char sign = *reader->at;
	const char *where = reader->at++;
	if (sign != '+' && sign != '-')
		return fail_expecting(reader, where, "+, - or }");
	skip_blanks(reader);
	where = reader->at;
	if (!read_number(reader, &constant))
		return false;
	if (constant > INT32_MAX)
		return fail_expecting(reader, where, "an offset up to 2147483647");
	part->add = sign == '+' ? (int64_t)constant : -(int64_t)constant;
	return expect_end(reader);
}

/* A length waits for its counted part. */
static bool
check_length(struct reader *reader, uint16_t at)
{
	struct compiler *compiler = reader->compiler;
	const struct conversation_part *part = &compiler->out->parts[at];
	if (part->term != CONVERSATION_TERM_LENGTH)
		return true;
	if (part->kind != CONVERSATION_NUMBER)
		return fail_expecting(reader, reader->start,
		    "a number form for a length: u8, u16be, ..., decimal or varint");
	if (compiler->length_part != CONVERSATION_NONE)
		return fail_expecting(reader, reader->start,
		    "{ ... }, the part that the length before it counts");
	if (compiler->depth == CONVERSATION_NESTING_MAX)
		return source_fail(&compiler->source, reader->start - 2,
		    "found a counted part within %d others, expected at most %d",
		    CONVERSATION_NESTING_MAX, CONVERSATION_NESTING_MAX - 1);
	compiler->length_part = at;
	return true;
}

static bool
check_constant(
    struct reader *reader, const struct conversation_part *part, uint8_t bits)
{
	uint64_t most = bits == 64 ? UINT64_MAX : (UINT64_C(1) << bits) - 1;
	if (part->term != CONVERSATION_TERM_CONSTANT)
		return true;
	uint64_t value = part->number + (uint64_t)part->add;
	bool is_over =
	    part->add < 0 ? part->number < (uint64_t)-part->add : value < part->number;
	return (!is_over && value <= most) ||
	    source_fail(&reader->compiler->source, reader->start,
		"found a constant that does not fit, expected a number from 0 to %" PRIu64,
		most);
}

/* A bare name in what the server says is captured, in what the client says is sent. */
static bool
captures_bare_name(struct reader *reader, struct word *ret_name)
{
	struct reader ahead = *reader;
	*ret_name = read_word(&ahead);
	skip_blanks(&ahead);
	if (reader->compiler->out->steps[reader->compiler->out->step_count - 1]
		    .speaker != CONVERSATION_SERVER ||
	    ahead.at != ahead.end || ret_name->length == 0 ||
	    isdigit((unsigned char)ret_name->text[0]) || names_is_reserved(ret_name))
		return false;
	reader->at = ahead.at;
	return true;
}

static bool
compile_number(struct reader *reader, size_t row, const struct word *name)
{
	struct conversation *out = reader->compiler->out;
	struct conversation_part *part = add_part(reader, CONVERSATION_NUMBER);
	uint16_t at = (uint16_t)(out->part_count - 1);
	struct word bare;
	if (part == NULL)
		return false;
	part->form = (uint8_t)forms[row].form;
	skip_blanks(reader);
	if (name->length > 0 && reader->at == reader->end)
		return true; /* free */
	if (name->length == 0 && captures_bare_name(reader, &bare))
		return names_define(reader->compiler, &bare, at);
	return read_expression(reader, part) && check_length(reader, at) &&
	    check_constant(reader, part, forms[row].bits);
}

static bool
compile_term(struct reader *reader, enum conversation_term term)
{
	struct conversation_part *part = add_part(reader, CONVERSATION_NUMBER);
	if (part == NULL)
		return false;
	part->form = CONVERSATION_DECIMAL;
	part->term = (uint8_t)term;
	return expect_end(reader);
}

static bool
compile_free(struct reader *reader, enum conversation_form form)
{
	struct conversation_part *part = add_part(reader, CONVERSATION_NUMBER);
	if (part == NULL)
		return false;
	part->form = (uint8_t)form;
	return expect_end(reader);
}

static bool
compile_any(struct reader *reader)
{
	skip_blanks(reader);
	bool is_sized = reader->at < reader->end;
	struct conversation_part *part =
	    add_part(reader, is_sized ? CONVERSATION_BYTES : CONVERSATION_ANY);
	if (part == NULL)
		return false;
	part->term = CONVERSATION_TERM_CONSTANT;
	part->crosses_lines = reader->compiler->depth > 0 ||
	    reader->compiler->out->ending == CONVERSATION_NO_ENDING;
	return !is_sized ||
	    (read_size(reader, 0, INT32_MAX, &part->number) && expect_end(reader));
}

static bool
compile_bytes(struct reader *reader)
{
	struct conversation_part *part = add_part(reader, CONVERSATION_BYTES);
	if (part == NULL || !read_expression(reader, part))
		return false;
	if (part->term != CONVERSATION_TERM_CONSTANT &&
	    part->term != CONVERSATION_TERM_REFERENCE)
		return fail_expecting(
		    reader, reader->start, "a number or the name of a captured number");
	return check_constant(reader, part, 31);
}

static bool
compile_random(struct reader *reader)
{
	uint64_t length;
	struct conversation_part *part = add_part(reader, CONVERSATION_RANDOM);
	if (part == NULL || !read_size(reader, 1, CONVERSATION_RANDOM_MAX, &length))
		return false;
	part->length = (uint32_t)length;
	return expect_end(reader);
}

/* N or N:M, and perhaps "binary". */
static bool
compile_payload(struct reader *reader)
{
	struct compiler *compiler = reader->compiler;
	struct conversation_range *range = &compiler->out->sections[compiler->section];
	uint64_t min, max;
	struct conversation_part *part = add_part(reader, CONVERSATION_PAYLOAD);
	if (part == NULL || !read_size(reader, 0, CONVERSATION_PAYLOAD_MAX, &min))
		return false;
	max = min;
	if (reader->at < reader->end && *reader->at == ':') {
		reader->at++;
		if (!read_size(reader, min, CONVERSATION_PAYLOAD_MAX, &max))
			return false;
	}
	struct reader ahead = *reader;
	struct word word = read_word(&ahead);
	part->is_binary = names_is_word(&word, "binary");
	if (part->is_binary)
		*reader = ahead;
	part->at = (uint32_t)min;
	part->length = (uint32_t)max;
	part->number = range->payload_bytes;
	range->payload_bytes += max;
	compiler->payload = (uint16_t)(compiler->out->part_count - 1);
	skip_blanks(reader);
	return reader->at == reader->end ||
	    fail_expecting(reader, reader->at, ":, binary or }");
}

static bool
compile_echo(struct reader *reader)
{
	struct compiler *compiler = reader->compiler;
	if (compiler->payload == CONVERSATION_NONE ||
	    (compiler->out->parts[compiler->payload].section != compiler->section &&
		compiler->out->parts[compiler->payload].section !=
		    CONVERSATION_OPENING))
		return source_fail(&compiler->source, reader->start,
		    "found \\{echo} without a payload before it, expected \\{payload N} in this section or the opening");
	struct conversation_part *part = add_part(reader, CONVERSATION_REFERENCE);
	if (part == NULL)
		return false;
	part->reference = compiler->payload;
	refer(compiler, compiler->payload);
	return expect_end(reader);
}

/* Alternatives: literals with "|" between them. */
static bool
compile_alternatives(struct reader *reader)
{
	struct compiler *compiler = reader->compiler;
	struct conversation *out = compiler->out;
	struct conversation_part *part = add_part(reader, CONVERSATION_ALTERNATIVES);
	if (part == NULL)
		return false;
	part->at = out->choice_count;
	uint32_t start = out->byte_count;
	for (const char *at = reader->at;;) {
		char byte;
		bool is_end = at == reader->end || *at == '|';
		if (is_end) {
			if (!builder_add_choice(compiler, start))
				return false;
			start = out->byte_count;
			if (++part->length > CONVERSATION_ALTERNATIVES_MAX)
				return source_fail(&compiler->source, at,
				    "found more alternatives, expected at most %d",
				    CONVERSATION_ALTERNATIVES_MAX);
			if (at++ == reader->end)
				break;
			continue;
		}
		byte = *at++;
		if (byte == '\\' &&
		    (at = source_escape(&compiler->source, at, reader->end, &byte)) ==
			NULL)
			return false;
		if (!builder_add_raw_byte(compiler, byte))
			return false;
	}
	reader->at = reader->end;
	return true;
}

/* The bytes that were captured under a name. */
static bool
compile_reference(struct reader *reader, const struct word *name)
{
	uint16_t at = names_find(reader->compiler, name);
	if (at == CONVERSATION_NONE)
		return names_fail_unknown(reader->compiler, name);
	struct conversation_part *part = add_part(reader, CONVERSATION_REFERENCE);
	if (part == NULL)
		return false;
	part->reference = at;
	refer(reader->compiler, at);
	return expect_end(reader);
}

static bool
compile_form(struct reader *reader, const struct word *name)
{
	struct reader ahead = *reader;
	struct word word = read_word(&ahead);
	const char *where = reader->at;
	if (name->length > 0)
		skip_blanks(reader);
	if (memchr(reader->at, '|', (size_t)(reader->end - reader->at)) != NULL)
		return compile_alternatives(reader);
	*reader = ahead;
	for (size_t i = 0; i < FORM_COUNT; i++)
		if (names_is_word(&word, forms[i].name))
			return compile_number(reader, i, name);
	for (size_t i = 0; i < TERM_COUNT; i++)
		if (names_is_word(&word, terms[i].name) &&
		    terms[i].term != CONVERSATION_TERM_LENGTH)
			return compile_term(reader, terms[i].term);
	if (names_is_word(&word, "digits"))
		return compile_free(reader, CONVERSATION_DECIMAL);
	if (names_is_word(&word, "hex"))
		return compile_free(reader, CONVERSATION_HEX);
	if (names_is_word(&word, "any"))
		return compile_any(reader);
	if (names_is_word(&word, "bytes"))
		return compile_bytes(reader);
	if (names_is_word(&word, "random"))
		return compile_random(reader);
	if (names_is_word(&word, "payload"))
		return compile_payload(reader);
	if (names_is_word(&word, "echo"))
		return compile_echo(reader);
	if (names_is_word(&word, "length"))
		return fail_expecting(reader, word.text,
		    "a number form before it, as in \\{u32be length}");
	if (word.length == 0)
		return fail_expecting(reader, where, "a placeholder or a name");
	return compile_reference(reader, &word);
}

/* "NAME:" before the form. */
static bool
has_name(struct reader *reader, struct word *ret_name)
{
	struct reader ahead = *reader;
	struct word word = read_word(&ahead);
	skip_blanks(&ahead);
	if (word.length == 0 || ahead.at == ahead.end || *ahead.at != ':')
		return false;
	reader->at = ahead.at + 1;
	*ret_name = word;
	return true;
}

bool
conversation_placeholder_compile(
    struct compiler *compiler, const char *start, const char *end)
{
	struct reader reader = {
		.compiler = compiler, .start = start, .at = start, .end = end
	};
	struct word name = { .length = 0 };
	if (!has_name(&reader, &name))
		return compile_form(&reader, &name);
	if (isdigit((unsigned char)name.text[0]))
		return source_fail(&compiler->source, name.text,
		    "found \"%.*s\" as a name, expected a letter first",
		    (int)name.length, name.text);
	return compile_form(&reader, &name) &&
	    names_define(compiler, &name, (uint16_t)(compiler->out->part_count - 1));
}
