#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "proto/conversation/conversation.h"
#include "proto/conversation/conversation_describe.h"

static const struct {
	const char *text;
	size_t length;
	const char *error;
} mistakes[] = {
	{ "", 0,
	    "x.talk:1:1: found no step in the repeat section, expected at least one C: or S: line" },
	{ "# nothing\n\n", 11,
	    "x.talk:3:1: found no step in the repeat section, expected at least one C: or S: line" },
	{ "S: b\n", 5,
	    "x.talk:1:5: found no C: line in the repeat section, expected one, or a close at its end" },
	{ "--- repeat\nC: a\nS: b\n--- end\n--- repeat\n", 40,
	    "x.talk:5:1: found \"--- repeat\" behind the end section, expected each section once, repeat before end" },
	{ "C: a\nS: b\n--- end\nC: x\n--- end\n", 31,
	    "x.talk:5:1: found \"--- end\" again, expected each section once, repeat before end" },
	{ "--- again\n", 10, "x.talk:1:5: found \"again\", expected repeat or end" },
	{ "C: a\nS: b\nending lf\n", 20,
	    "x.talk:3:1: found \"ending\" behind a step, expected it at the top of the file" },
	{ "ending cr\nC: a\nS: b\n", 20,
	    "x.talk:1:8: found \"cr\", expected crlf, lf or none" },
	{ "X: a\n", 5,
	    "x.talk:1:1: found \"X: a\", expected \"C:\", \"S:\", \"S*:\", \"C close\", \"pause\", \"--- repeat\", \"--- end\", \"ending\" or #" },
	{ " C: a\n", 6,
	    "x.talk:1:1: found an indented line, expected it only behind the text that it continues" },
	{ "C a\n", 4,
	    "x.talk:1:3: found \"a\", expected close, half-close or reset, or \":\" and a text" },
	{ "C:\n C; b\nC*: a\n", 15,
	    "x.talk:3:1: found \"C*:\", expected \"C:\", \"S:\" or \"S*:\"" },
	{ "ending none\nC: \n", 16,
	    "x.talk:2:1: found a line without text, expected at least one byte" },
	{ "C: a \nS: b\n", 11,
	    "x.talk:1:5: found a blank at the end of the line, expected \\x20 or \\t if it is meant" },
	{ "C: a\\q\n", 7,
	    "x.talk:1:5: found \"\\q\", expected \\r, \\n, \\t, \\0, \\xHH, \\\\, \\}, \\{...} or, at the end, \\c" },
	{ "C: a\\c b\n", 9,
	    "x.talk:1:7: found \" b\" behind \\c, expected the end of the text" },
	{ "C: a\0b\n", 7, "x.talk:1:5: found a NUL byte, expected \\0" },
	{ "C: \\{any\n", 9,
	    "x.talk:1:4: found \"\\{any\", expected } behind it in the same line" },
	{ "C: \\{anny}\n", 11,
	    "x.talk:1:6: found \"anny\", expected a placeholder or a name that was captured before; did you mean \"any\"?" },
	{ "C: \\{}\n", 7, "x.talk:1:6: found }, expected a placeholder or a name" },
	{ "C: \\{any x}\n", 12,
	    "x.talk:1:10: found \"x\", expected a size from 0 to 2147483647" },
	{ "C: \\{random}\n", 13,
	    "x.talk:1:12: found }, expected a size from 1 to 256" },
	{ "C: \\{random 300}\n", 17,
	    "x.talk:1:13: found \"300\", expected a size from 1 to 256" },
	{ "C: \\{payload 2:1}\n", 18,
	    "x.talk:1:16: found \"1\", expected a size from 2 to 1048576" },
	{ "C: \\{payload 1 text}\n", 21,
	    "x.talk:1:16: found \"text\", expected :, binary or }" },
	{ "C: \\{payload 2M}\n", 17,
	    "x.talk:1:14: found \"2M\", expected a size from 0 to 1048576" },
	{ "C: \\{echo}\n", 11,
	    "x.talk:1:6: found \\{echo} without a payload before it, expected \\{payload N} in this section or the opening" },
	{ "--- repeat\nC: \\{payload 1}\n--- end\nC: \\{echo}\n", 46,
	    "x.talk:4:6: found \\{echo} without a payload before it, expected \\{payload N} in this section or the opening" },
	{ "C: \\{u8 300}\n", 13,
	    "x.talk:1:6: found a constant that does not fit, expected a number from 0 to 255" },
	{ "C: \\{u8 n}\n", 11,
	    "x.talk:1:9: found \"n\", expected a placeholder or a name that was captured before" },
	{ "C: \\{u8 2*3}\n", 13, "x.talk:1:10: found \"*3\", expected +, - or }" },
	{ "C: \\{u8 2+}\n", 12,
	    "x.talk:1:11: found }, expected a number from 0 to 18446744073709551615" },
	{ "C: \\{u8 2+9999999999}\n", 22,
	    "x.talk:1:11: found \"9999999999\", expected an offset up to 2147483647" },
	{ "C: \\{u8 0xg}\n", 13,
	    "x.talk:1:9: found \"0xg\", expected a number from 0 to 18446744073709551615" },
	{ "C: \\{u8}\n", 9,
	    "x.talk:1:8: found }, expected a number, a name, length, message, connection or pid" },
	{ "C: \\{n: any}\nS: \\{u8 n+1}\n", 26,
	    "x.talk:2:9: found \"n\", which is text, expected a number" },
	{ "C: \\{bytes length}\n", 19,
	    "x.talk:1:6: found \"bytes length\", expected a number or the name of a captured number" },
	{ "C: \\{bytes message}\n", 20,
	    "x.talk:1:6: found \"bytes message\", expected a number or the name of a captured number" },
	{ "C: \\{length}\n", 13,
	    "x.talk:1:6: found \"length\", expected a number form before it, as in \\{u32be length}" },
	{ "C: \\{any: digits}\n", 18,
	    "x.talk:1:6: found the placeholder \"any\" as a name, expected another name" },
	{ "C: \\{1a: digits}\n", 17,
	    "x.talk:1:6: found \"1a\" as a name, expected a letter first" },
	{ "C: \\{a23456789012345678901234567890123: digits}\n", 48,
	    "x.talk:1:6: found a name of 33 characters, expected at most 31" },
	{ "C: \\{a: digits}\nS: \\{b: a}\n", 27,
	    "x.talk:2:6: found a second name for captured bytes, expected a form such as any or digits" },
	{ "C: \\{any}\\{digits}\n", 19,
	    "x.talk:1:4: found \\{any} without an end, expected a literal or the end of a line or counted part behind it" },
	{ "ending none\nC: \\{any}\n", 22,
	    "x.talk:2:4: found \\{any} without an end, expected a literal or the end of a line or counted part behind it" },
	{ "C: \\{digits}5\n", 14,
	    "x.talk:1:4: found digits before the literal digit \"5\", expected a literal by which their end is seen" },
	{ "C: \\{hex}f\n", 11,
	    "x.talk:1:4: found digits before the literal digit \"f\", expected a literal by which their end is seen" },
	{ "ending none\nC: \\{digits}\n", 25,
	    "x.talk:2:4: found digits without an end, expected a literal or the end of a line or counted part behind them" },
	{ "C: \\{payload 1:2 binary}\n", 25,
	    "x.talk:1:4: found a payload of varying size without an end, expected it at the end of a counted part or, if it is not binary, of a line" },
	{ "C: \\{payload 1:2}A\n", 19,
	    "x.talk:1:4: found a payload of varying size without an end, expected it at the end of a counted part or, if it is not binary, of a line" },
	{ "C: \\{|a}\n", 9,
	    "x.talk:1:4: found an empty alternative before others, expected it as the last" },
	{ "C: \\{a|ab}\n", 11,
	    "x.talk:1:4: found alternative 1, which is how alternative 2 starts, expected alternatives that differ before the shorter one ends" },
	{ "ending none\nC: \\{a|}\n", 21,
	    "x.talk:2:4: found an empty alternative without an end, expected a literal behind it" },
	{ "C: \\{a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p|q}\n", 40,
	    "x.talk:1:39: found more alternatives, expected at most 16" },
	{ "C: \\{u8 length}\nS: b\n", 21,
	    "x.talk:1:4: found a length without a counted part, expected { ... } behind it or in the next lines of this side" },
	{ "C: \\{u8 length}\\{u8 length}{a}\n", 31,
	    "x.talk:1:18: found \"u8 length\", expected { ... }, the part that the length before it counts" },
	{ "C: \\{u8 length}{a\nS: b\n", 23,
	    "x.talk:1:16: found { without an end in this text, expected } (an indented line continues a text)" },
	{ "C: \\{u8 length}{\\{u8 length}}\n", 30,
	    "x.talk:1:29: found \"}\", expected { ... }, the part that the length before it counts" },
	{ "C: \\{u8 length}{\\{u8 length}{\\{u8 length}{\\{u8 length}{a}}}}\n", 61,
	    "x.talk:1:43: found a counted part within 3 others, expected at most 2" },
	{ "S: \\{u8 length}\nS*: {a}\nS: b\n", 29,
	    "x.talk:2:5: found { in a repeated line, expected it behind the repetition: it begins the part that a length before S*: counts" },
	{ "C: a\nS*: \\{decimal length}\nS: b\n", 32,
	    "x.talk:2:5: found a length without a counted part, expected { ... } in the same S*: line" },
	{ "C: a\nS*: b\nC: c\n", 16,
	    "x.talk:2:1: found S*: without an S: line behind it, expected the line that ends the repetition" },
	{ "C: a\nS*: b\n", 11,
	    "x.talk:2:1: found S*: without an S: line behind it, expected the line that ends the repetition" },
	{ "C: a\nS*: b\nS*: c\nS: d\n", 22,
	    "x.talk:3:1: found S*: behind S*:, expected the S: line that ends the first repetition" },
	{ "C: a\nS*: b\nS: \\{any}\n", 21,
	    "x.talk:2:1: found S*: before a line that does not start with a literal, expected text by which line 3 ends the repetition" },
	{ "ending none\nC: a\nS*: \\{any 0}\nS: x\n", 35,
	    "x.talk:3:1: found S*: with a line that can be empty, expected text in it" },
	{ "C [x]: a\nC: b\n", 14,
	    "x.talk:1:9: found a name at a line without an answer, expected an S: line behind it" },
	{ "C: a\nC [x]: b\nS: c\n", 19,
	    "x.talk:2:9: found a name at a C: line that is sent together with line 1, expected it there" },
	{ "C: a\nS [x]: b\n", 14,
	    "x.talk:2:3: found a name at an S: line, expected it at the C: line that it answers" },
	{ "C [x y]: a\nS: b\n", 16,
	    "x.talk:1:3: found \"[x y]\", expected [NAME]: letters, digits, - and _, at most 31" },
	{ "C [x]: a\nS: b\nC [x]: c\nS: d\n", 28,
	    "x.talk:3:3: found the name \"x\" again, expected another name" },
	{ "C [x] a\nS: b\n", 13,
	    "x.talk:1:6: found \" a\", expected \":\" and a text" },
	{ "C close\n--- repeat\nC: a\nS: b\n", 29,
	    "x.talk:1:1: found a close in the opening, expected it in the repeat or end section" },
	{ "C: a\nS: b\nS close\nC: x\n", 23,
	    "x.talk:4:1: found a step behind the close in line 3, expected none" },
	{ "C: a\nS: b\nC half-close\nC: x\n", 28,
	    "x.talk:4:1: found a step behind the half-close in line 3, expected only a close or reset from this side" },
	{ "C: a\nS: b\nC half-close\n", 23,
	    "x.talk:3:1: found a half-close in a repeat section that goes on, expected a close or reset at its end" },
	{ "C: a\nS: b\nS close\n--- end\nC: x\n", 31,
	    "x.talk:5:1: found a step behind the close in line 3, expected none" },
	{ "pause 1\nC: a\nS: b\n", 18,
	    "x.talk:1:7: found \"1\", expected a duration up to 1h such as 100ms" },
	{ "pause 2h\nC: a\nS: b\n", 19,
	    "x.talk:1:7: found \"2h\", expected a duration up to 1h such as 100ms" },
	{ "C: \\{k: any 5k}\nS: \\{k}\n", 24,
	    "x.talk:1:4: found a capture of 5120 bytes, expected at most 4096" },
	{ "S*: \\{u8 n}x\nS: a\nC: \\{n}\n", 26,
	    "x.talk:3:6: found \"n\", which is known in the S*: line of line 1 only, expected a name that was captured before in this section or the opening" },
	{ "\nC: abc\n   def \\{foo}\n", 22,
	    "x.talk:3:10: found \"foo\", expected a placeholder or a name that was captured before" },
	{ "C: \\{u8 length}{a\n  b\\{foo}}\n", 29,
	    "x.talk:2:6: found \"foo\", expected a placeholder or a name that was captured before" },
	{ "--- repeat\nC: \\{id: any}\n--- end\nC: \\{id}\n", 42,
	    "x.talk:4:6: found \"id\", which is known in the section of line 2 only, expected a name that was captured before in this section or the opening" },
};

static int
compile(const char *text, size_t length, struct conversation *ret, char *error)
{
	error[0] = '\0';
	return conversation_compile("x.talk", text, length, ret, error);
}

static struct conversation
compiled(const char *text)
{
	struct conversation conversation;
	char error[CONVERSATION_ERROR_MAX];
	if (compile(text, strlen(text), &conversation, error) != 0)
		fail_msg("%s", error);
	return conversation;
}

static void
test_a_mistake_is_one_line_with_its_place(void **state)
{
	struct conversation conversation;
	char error[CONVERSATION_ERROR_MAX];
	(void)state;
	for (size_t i = 0; i < sizeof(mistakes) / sizeof(*mistakes); i++) {
		assert_int_equal(
		    compile(mistakes[i].text, mistakes[i].length, &conversation, error),
		    EX_USAGE);
		assert_string_equal(error, mistakes[i].error);
	}
}

/* A file that starts with `before` and has `unit` that many times. error NULL: it
 * compiles. */
static void
assert_limit(const char *before, const char *unit, size_t count, const char *error)
{
	struct conversation conversation;
	char found[CONVERSATION_ERROR_MAX];
	size_t start = strlen(before), bytes = strlen(unit);
	char *file = malloc(start + count * bytes + 1);
	assert_non_null(file);
	memcpy(file, before, start);
	for (size_t i = 0; i < count; i++)
		memcpy(file + start + i * bytes, unit, bytes);
	int status = compile(file, start + count * bytes, &conversation, found);
	if (error == NULL) {
		assert_string_equal(found, "");
		assert_int_equal(status, 0);
		conversation_finish(&conversation);
	} else {
		assert_int_equal(status, EX_USAGE);
		assert_string_equal(found, error);
	}
	free(file);
}

static void
test_limits_are_exact_and_named(void **state)
{
	char *line = malloc(CONVERSATION_FILE_MAX + 2);
	(void)state;
	assert_non_null(line);
	assert_limit("", "C: a\n", CONVERSATION_STEPS_MAX, NULL);
	assert_limit("", "C: a\n", CONVERSATION_STEPS_MAX + 1,
	    "x.talk:1001:1: found more steps than the 1000 that a file can have, expected fewer");
	/* The last part is the line end. */
	assert_limit("C: ", "\\{u8 1}", CONVERSATION_PARTS_MAX - 1, NULL);
	assert_limit("C: ", "\\{u8 1}", CONVERSATION_PARTS_MAX,
	    "x.talk:1:56004: found more parts than the 8000 that a file can have, expected fewer");
	assert_limit("C: ", "\\{x: u8 1}", CONVERSATION_NAMES_MAX, NULL);
	assert_limit("C: ", "\\{x: u8 1}", CONVERSATION_NAMES_MAX + 1,
	    "x.talk:1:2566: found more captures than the 256 that a file can have, expected fewer");
	memset(line, 'a', CONVERSATION_FILE_MAX + 1);
	memcpy(line, "C: ", 3);
	struct conversation conversation;
	char error[CONVERSATION_ERROR_MAX];
	assert_int_equal(
	    compile(line, 3 + CONVERSATION_TEXT_MAX - 2, &conversation, error), 0);
	conversation_finish(&conversation);
	assert_int_equal(
	    compile(line, 3 + CONVERSATION_TEXT_MAX - 1, &conversation, error),
	    EX_USAGE);
	assert_non_null(strstr(error, "found more text than the 262144 bytes"));
	assert_int_equal(
	    compile(line, CONVERSATION_FILE_MAX + 1, &conversation, error), EX_USAGE);
	assert_non_null(strstr(error, "found a file of 1048577 bytes"));
	free(line);
}

static void
test_a_long_file_name_leaves_room_for_the_message(void **state)
{
	struct conversation conversation;
	char error[CONVERSATION_ERROR_MAX], name[2000];
	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	assert_int_equal(
	    conversation_compile(name, "C: \\{u8}", 8, &conversation, error), EX_USAGE);
	assert_non_null(strstr(error, ":1:8: found }, expected a number"));
}

static void
test_sections_default_to_one_repeated_pass(void **state)
{
	struct conversation c = compiled("C: a\nS: b\n");
	(void)state;
	assert_int_equal(c.sections[CONVERSATION_OPENING].end, 0);
	assert_int_equal(c.sections[CONVERSATION_REPEAT].end, 2);
	assert_int_equal(c.sections[CONVERSATION_END].first, 2);
	assert_int_equal(c.sections[CONVERSATION_END].end, 2);
	conversation_finish(&c);
	c = compiled("C: a\n--- end\nC: b\n");
	assert_int_equal(c.sections[CONVERSATION_REPEAT].end, 1);
	assert_int_equal(c.sections[CONVERSATION_END].end, 2);
	conversation_finish(&c);
}

static void
test_a_file_with_crlf_compiles_to_the_same(void **state)
{
	struct conversation a = compiled("C: a\n  b\nS: \\{any}\n");
	struct conversation b = compiled("C: a\r\n  b\r\nS: \\{any}\r\n");
	(void)state;
	assert_int_equal(a.byte_count, b.byte_count);
	assert_memory_equal(a.bytes, b.bytes, a.byte_count);
	assert_memory_equal(a.bytes, "ab\r\n\r\n", 6);
	assert_true(a.digest != b.digest);
	conversation_finish(&a);
	conversation_finish(&b);
}

static void
test_pipelining_needs_passes_that_do_not_wait(void **state)
{
	static const struct {
		const char *text, *refusal;
	} rows[] = {
		{ "C: \\{k: random 8}\nS: \\{any}\nC: \\{k}\nS: b\n", "" },
		{ "S: \\{k: any}\n--- repeat\nC: \\{k}\nS: b\n", "" },
		{ "C: a\nS: \\{k: any}\nC: \\{k}\nS: b\n",
		    "x.talk:3: what is sent depends on the answer to the same pass, so that passes cannot be pipelined" },
		{ "C: a\nS: \\{n: digits}\nC: \\{decimal n+1}\nS: b\n",
		    "x.talk:3: what is sent depends on the answer to the same pass, so that passes cannot be pipelined" },
		{ "C: a\npause 1ms\nC: b\nS: b\n",
		    "x.talk:2: passes with a pause or close cannot be pipelined" },
		{ "C: a\nS close\n",
		    "x.talk:2: passes with a pause or close cannot be pipelined" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct conversation c = compiled(rows[i].text);
		assert_string_equal(c.pipeline_refusal, rows[i].refusal);
		conversation_finish(&c);
	}
}

static void
test_a_server_must_see_where_the_end_begins(void **state)
{
	static const struct {
		const char *text, *refusal;
	} rows[] = {
		{ "--- repeat\nC: NOOP\nS: a\n--- end\nC: QUIT\n", "" },
		{ "--- repeat\nC: NOOP\nS: a\n--- end\nC close\n", "" },
		{ "--- repeat\nC: \\{any}\nS: a\n", "" },
		{ "--- repeat\nC: NOOP\nS: a\n--- end\nS: b\n",
		    "x.talk:5: a server cannot know when the end section begins; expected C: lines at the start of the repeat and end sections" },
		{ "--- repeat\nC: NOOP\nS: a\n--- end\nC: \\{any}\n",
		    "x.talk:5: a server cannot know when the end section begins; expected literals at the start of the repeat and end sections" },
		{ "--- repeat\nC: Q\\{any}\nS: a\n--- end\nC: Q\\{any}\n",
		    "x.talk:5: a server cannot know when the end section begins, because the repeat section begins with the same text" },
	};
	(void)state;
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct conversation c = compiled(rows[i].text);
		assert_string_equal(c.server_refusal, rows[i].refusal);
		conversation_finish(&c);
	}
}

static void
test_loads_a_file_or_says_why_not(void **state)
{
	struct conversation conversation;
	char error[CONVERSATION_ERROR_MAX], path[] = "/tmp/conversation_test.XXXXXX";
	(void)state;
	assert_int_equal(
	    conversation_load("/none/x.talk", &conversation, error), EX_NOINPUT);
	assert_string_equal(
	    error, "cannot read /none/x.talk: No such file or directory");
	assert_int_equal(conversation_load("/tmp", &conversation, error), EX_NOINPUT);
	assert_string_equal(error, "cannot read /tmp: Is a directory");
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	FILE *file = fdopen(fd, "w");
	assert_non_null(file);
	fputs("C: a\nS: b\n", file);
	assert_int_equal(fclose(file), 0);
	assert_int_equal(conversation_load(path, &conversation, error), 0);
	assert_int_equal(conversation.step_count, 2);
	conversation_finish(&conversation);
	remove(path);
}

static void
assert_described(const char *text, enum conversation_role role, const char *expected)
{
	struct conversation conversation = compiled(text);
	char *description = NULL;
	size_t size;
	FILE *out = open_memstream(&description, &size);
	assert_non_null(out);
	conversation_describe(&conversation, role, out);
	assert_int_equal(fclose(out), 0);
	assert_string_equal(description, expected);
	free(description);
	conversation_finish(&conversation);
}

static void
test_describes_what_each_side_says_and_hears(void **state)
{
	static const char text[] = "S: \\{a|b} \\{any}\n"
				   "S*: \\{hex}\n"
				   "S: x\\{n: u16be}\\{bytes n-2}\n"
				   "--- repeat\n"
				   "C [q]: \\{id: random 4} \\{decimal message+1}\n"
				   "pause 5ms\n"
				   "C: \\{u8 length}{\\{payload 1:1k binary}}\n"
				   "S: \\{id} \\{echo}\\{any 3}\n"
				   "--- end\n"
				   "C: BYE\n"
				   "S reset\n";
	(void)state;
	assert_described(text, CONVERSATION_CLIENT,
	    "client\n"
	    "  opening, once per connection\n"
	    "      1  hears <\"a\" | \"b\"> \" \" <any text> \"\\r\\n\"\n"
	    "      2  hears zero or more: <hex any number> \"\\r\\n\"\n"
	    "      3  hears \"x\" <n: u16be any number> <any bytes, n-2> \"\\r\\n\"\n"
	    "  each pass\n"
	    "      5  says  [q] <id: 4 random characters> \" \" <decimal message+1> \"\\r\\n\"\n"
	    "      6  says  waits 5ms\n"
	    "      7  says  <u8 length> { <payload: 1 to 1k bytes of binary payload> } \"\\r\\n\"\n"
	    "      8  hears <id> \" \" <payload> <any bytes, 3> \"\\r\\n\"\n"
	    "  end, once per connection\n"
	    "     10  says  \"BYE\\r\\n\"\n"
	    "     11  hears reset\n");
	assert_described(text, CONVERSATION_SERVER,
	    "server\n"
	    "  opening, once per connection\n"
	    "      1  says  <\"a\"> \" \" <ok> \"\\r\\n\"\n"
	    "      2  says  nothing (zero of the lines that may be repeated)\n"
	    "      3  says  \"x\" <n: u16be 2> <\"x\" times n-2> \"\\r\\n\"\n"
	    "  each pass\n"
	    "      5  hears [q] <id: 4 random characters> \" \" <decimal any number> \"\\r\\n\"\n"
	    "      6  hears other side waits 5ms\n"
	    "      7  hears <u8 length> { <payload: 1 to 1k bytes of binary payload> } \"\\r\\n\"\n"
	    "      8  says  <id> \" \" <payload> <\"x\" times 3> \"\\r\\n\"\n"
	    "  end, once per connection\n"
	    "     10  hears \"BYE\\r\\n\"\n"
	    "     11  says  reset\n");
}

static void
test_a_file_may_have_very_many_alternatives(void **state)
{
	static const char one[] = "\\{a|b|c|d|e|f|g|h|i|j|k|l|m|n|o|p}";
	enum { PARTS = 5000 };
	struct conversation conversation;
	char error[CONVERSATION_ERROR_MAX];
	size_t length = 0;
	(void)state;
	char *text = malloc(PARTS * sizeof(one) + 64);
	assert_non_null(text);
	length += (size_t)sprintf(text, "C: ");
	for (int i = 0; i < PARTS; i++)
		length += (size_t)sprintf(text + length, "%s", one);
	length += (size_t)sprintf(text + length, "\nS: a\n");
	assert_int_equal(
	    conversation_compile("x.talk", text, length, &conversation, error), 0);
	assert_int_equal(conversation.choice_count, 16 * PARTS);
	assert_int_equal(conversation.parts[PARTS - 1].at, 16 * (PARTS - 1));
	free(text);
	conversation_finish(&conversation);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_mistake_is_one_line_with_its_place),
		cmocka_unit_test(test_limits_are_exact_and_named),
		cmocka_unit_test(test_a_long_file_name_leaves_room_for_the_message),
		cmocka_unit_test(test_sections_default_to_one_repeated_pass),
		cmocka_unit_test(test_a_file_with_crlf_compiles_to_the_same),
		cmocka_unit_test(test_pipelining_needs_passes_that_do_not_wait),
		cmocka_unit_test(test_a_server_must_see_where_the_end_begins),
		cmocka_unit_test(test_loads_a_file_or_says_why_not),
		cmocka_unit_test(test_describes_what_each_side_says_and_hears),
		cmocka_unit_test(test_a_file_may_have_very_many_alternatives),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
