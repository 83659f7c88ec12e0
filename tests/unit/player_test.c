#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
/* cmocka needs those above */
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/escape.h"
#include "tests/lib/conversation_examples.h"
#include "tests/lib/conversation_pair.h"

#define LOG_MAX 4096
#define TURNS_MAX 6
#define WHOLE 65536 /* a cut that cuts nothing */
/* Bytes that are turns of their own. */
#define END "\x01"   /* the peer ends its stream */
#define RESET "\x02" /* or resets the connection */

struct play {
	struct player_side side;
	struct player player;
	uint32_t passes; /* that are started still */
	char log[LOG_MAX];
	bool is_over;
};

static void
append(struct play *play, const char *text)
{
	size_t length = strlen(play->log);
	snprintf(
	    play->log + length, LOG_MAX - length, "%s%s", length > 0 ? " " : "", text);
}

static void
append_event(
    struct play *play, enum player_event event, const struct player_detail *detail)
{
	static const char *const names[] = { [PLAYER_OPENED] = "opened",
		[PLAYER_PASS_DONE] = "pass",
		[PLAYER_HALF_CLOSE] = "half-close",
		[PLAYER_CLOSE] = "close",
		[PLAYER_RESET] = "reset",
		[PLAYER_FINISHED] = "finished",
		[PLAYER_NO_MEMORY] = "no-memory" };
	char line[512];
	if (event == PLAYER_MISMATCH)
		append(play,
		    player_describe_mismatch(&play->side, &play->player,
			&detail->mismatch, line, sizeof(line)));
	else if (event == PLAYER_STEP_DONE)
		append(play, play->side.conversation->step_names[detail->step]);
	else if (event == PLAYER_PAUSE) {
		snprintf(line, sizeof(line), "pause:%uns", (unsigned)detail->pause_ns);
		append(play, line);
	} else if ((size_t)event < sizeof(names) / sizeof(*names) &&
	    names[event] != NULL)
		append(play, names[event]);
	play->is_over = event == PLAYER_MISMATCH || event == PLAYER_FINISHED ||
	    event == PLAYER_NO_MEMORY;
}

/* What is said in a row is one text, whatever the room. */
static void
say(struct play *play, size_t room)
{
	uint8_t bytes[LOG_MAX];
	char text[LOG_MAX];
	size_t length = 0;
	do {
		uint8_t out[64];
		size_t n = room < sizeof(out) ? room : sizeof(out);
		const uint8_t *said =
		    player_output(&play->side, &play->player, out, &n, NULL, NULL);
		assert_true(n > 0 && length + n <= sizeof(bytes));
		memcpy(bytes + length, said, n);
		length += n;
	} while (player_has_output(&play->side, &play->player));
	text[0] = '>';
	escape_encode(bytes, length, text + 1, sizeof(text) - 1);
	append(play, text);
}

/* Goes on without input, as far as that is possible. */
static void
drain(struct play *play, size_t room)
{
	struct player_detail detail;
	size_t used;
	while (!play->is_over) {
		enum player_event event =
		    player_feed(&play->side, &play->player, NULL, 0, &used, &detail);
		append_event(play, event, &detail);
		if (event == PLAYER_HAS_OUTPUT)
			say(play, room);
		else if (event == PLAYER_IDLE && play->passes > 0) {
			play->passes--;
			player_start_pass(&play->player);
		} else if (event == PLAYER_IDLE)
			player_start_end(&play->player);
		else if (event == PLAYER_NEEDS_INPUT || event == PLAYER_EXPECTS_CLOSE ||
		    event == PLAYER_EXPECTS_RESET)
			return;
	}
}

static void
hear(struct play *play, const char *turn, size_t length, size_t cut)
{
	struct player_detail detail;
	for (size_t at = 0; at < length && !play->is_over;) {
		/* An exact allocation, so that a sanitizer detects a read beyond the
		 * end. */
		size_t n = length - at < cut ? length - at : cut, used;
		uint8_t *piece = malloc(n);
		assert_non_null(piece);
		memcpy(piece, turn + at, n);
		enum player_event event =
		    player_feed(&play->side, &play->player, piece, n, &used, &detail);
		free(piece);
		at += used;
		append_event(play, event, &detail);
		if (event == PLAYER_HAS_OUTPUT && used < n)
			say(play, cut);
	}
}

static void
end(struct play *play, bool is_reset)
{
	struct player_detail detail;
	append_event(play,
	    is_reset ? player_reset_by_peer(&play->side, &play->player, &detail)
		     : player_end_of_input(&play->side, &play->player, &detail),
	    &detail);
}

static void
play_turns(
    struct play *play, const char *const *turns, const size_t *lengths, size_t cut)
{
	drain(play, cut);
	for (int i = 0; i < TURNS_MAX && turns[i] != NULL && !play->is_over; i++) {
		size_t length = lengths[i] > 0 ? lengths[i] : strlen(turns[i]);
		if (strcmp(turns[i], END) == 0 || strcmp(turns[i], RESET) == 0)
			end(play, turns[i][0] == RESET[0]);
		else
			hear(play, turns[i], length, cut);
		drain(play, cut);
	}
}

struct row {
	const char *text;
	enum conversation_role role;
	uint32_t passes;
	const char *turns[TURNS_MAX];
	const char *log;
	size_t lengths[TURNS_MAX]; /* 0: up to the NUL */
};

#define CLIENT CONVERSATION_CLIENT
#define SERVER CONVERSATION_SERVER

#define REPEAT_10(text) text text text text text text text text text text
#define REPEAT_1000(text) REPEAT_10(REPEAT_10(REPEAT_10(text)))
#define SMTP                                                                           \
	"S: 220 \\{any}\n"                                                             \
	"C: EHLO c-\\{connection}\n"                                                   \
	"S*: 250-\\{any}\n"                                                            \
	"S: 250 \\{any}\n"                                                             \
	"--- repeat\n"                                                                 \
	"C [noop]: NOOP\n"                                                             \
	"S: 250 \\{any}\n"                                                             \
	"--- end\n"                                                                    \
	"C: QUIT\n"                                                                    \
	"S: 221 \\{any}\n"                                                             \
	"S close\n"

/* An array of this size is laid out badly. */
/* clang-format off */
static const struct row plays[] = {
	{ .text = SMTP,
	    .role = CLIENT, .passes = 2,
	    .turns = { "220 hi\r\n", "250-A\r\n250-\r\n250 B\r\n", "250 ok\r\n", "250 \r\n", "221 bye\r\n", END },
	    .log = ">EHLO c-7\\r\\n opened >NOOP\\r\\n noop pass >NOOP\\r\\n noop pass >QUIT\\r\\n finished", },
	{ .text = SMTP,
	    .role = CLIENT, .passes = 1,
	    .turns = { "220 hi\r\n", "250 B\r\n", "251 no\r\n" },
	    .log = ">EHLO c-7\\r\\n opened >NOOP\\r\\n x.talk:7: [noop], pass 0, offset 17: expected \"250 \", of which 2 bytes came, found \"1 no\\r\\n\" (hex 31 20 6e 6f 0d 0a)", },
	{ .text = SMTP,
	    .role = CLIENT, .passes = 1,
	    .turns = { "220 hi\r\n", "250 B\r\n", "250 ok\n" },
	    .log = ">EHLO c-7\\r\\n opened >NOOP\\r\\n x.talk:7: [noop], pass 0, offset 21: expected any text up to \"\\r\\n\", of which 2 bytes came, found \"\\n\" (hex 0a)", },
	{ .text = SMTP,
	    .role = CLIENT, .passes = 1,
	    .turns = { "220 hi\r\n", "250 B\r\n", "250 ok\r\n250 ok\r\n" },
	    .log = ">EHLO c-7\\r\\n opened >NOOP\\r\\n noop pass x.talk:6: [noop], pass 1, offset 23: expected nothing before this line is sent, found \"250 ok\\r\\n\" (hex 32 35 30 20 6f 6b 0d 0a)", },
	{ .text = SMTP,
	    .role = CLIENT, .passes = 1,
	    .turns = { "220 hi\r\n250 early\r\n" },
	    .log = "x.talk:2: opening, offset 8: expected nothing before this line is sent, found \"250 early\\r\\n\" (hex 32 35 30 20 65 61 72 6c 79 0d 0a)", },
	{ .text = SMTP,
	    .role = CLIENT, .passes = 1,
	    .turns = { "220 hi\r\n", "250-A\r\n251 B\r\n" },
	    .log = ">EHLO c-7\\r\\n x.talk:3: opening, offset 17: expected \"250-\" or \"250 \" (line 4), of which 2 bytes came, found \"1 B\\r\\n\" (hex 31 20 42 0d 0a)", },
	{ .text = SMTP,
	    .role = CLIENT, .passes = 1,
	    .turns = { "220 hi\r\n", "250-A\r\n25", END },
	    .log = ">EHLO c-7\\r\\n x.talk:3: opening, offset 17: expected \"250 \" (line 4) or a repeated line, found the end of the stream", },
	{ .text = SMTP,
	    .role = CLIENT, .passes = 1,
	    .turns = { "220 hi\r\n", RESET },
	    .log = ">EHLO c-7\\r\\n x.talk:3: opening, offset 8: expected \"250 \" (line 4) or a repeated line, found a reset", },
	{ .text = SMTP,
	    .role = CLIENT, .passes = 1,
	    .turns = { "220 hi\r\n", "250 B\r\n", "250 ok\r\n", "221 bye\r\n", "x" },
	    .log = ">EHLO c-7\\r\\n opened >NOOP\\r\\n noop pass >QUIT\\r\\n x.talk:11: end, offset 32: expected the end of the stream, found \"x\" (hex 78)", },
	{ .text = SMTP,
	    .role = CLIENT, .passes = 1,
	    .turns = { "220 hi\r\n", "250 B\r\n", "250 ok\r\n", "221 bye\r\n", RESET },
	    .log = ">EHLO c-7\\r\\n opened >NOOP\\r\\n noop pass >QUIT\\r\\n x.talk:11: end, offset 32: expected the end of the stream, found a reset", },
	{ .text = SMTP,
	    .role = CLIENT,
	    .turns = { "220 hi\r\n", "250 B\r\n", "221 bye\r\n", END },
	    .log = ">EHLO c-7\\r\\n opened >QUIT\\r\\n finished", },
	{ .text = SMTP,
	    .role = CLIENT, .passes = 1,
	    .turns = { "220 hi\r\n", "250 B\r\n", END },
	    .log = ">EHLO c-7\\r\\n opened >NOOP\\r\\n x.talk:7: [noop], pass 0, offset 15: expected \"250 \", found the end of the stream", },
	{ .text = SMTP,
	    .role = SERVER,
	    .turns = { "EHLO c-12\r\n", "NOOP\r\nNOOP\r\n", "NOOP\r\nQUIT\r\n" },
	    .log = ">220 ok\\r\\n >250 ok\\r\\n opened >250 ok\\r\\n pass >250 ok\\r\\n pass >250 ok\\r\\n pass >221 ok\\r\\n close finished", },
	{ .text = SMTP,
	    .role = SERVER,
	    .turns = { "EHLO c-12\r\n", "NOPE\r\n" },
	    .log = ">220 ok\\r\\n >250 ok\\r\\n opened x.talk:6: [noop], pass 0, offset 13: expected \"NOOP\\r\\n\", of which 2 bytes came, found \"PE\\r\\n\" (hex 50 45 0d 0a)", },
	{ .text = SMTP,
	    .role = SERVER,
	    .turns = { "EHLO c-12\r\n", "QUIET\r\n" },
	    .log = ">220 ok\\r\\n >250 ok\\r\\n opened x.talk:6: [noop], pass 0, offset 11: expected \"NOOP\\r\\n\", found \"QUIET\\r\\n\" (hex 51 55 49 45 54 0d 0a)", },
	{ .text = SMTP,
	    .role = SERVER,
	    .turns = { "EHLO c-12\r\n", "NOOP\r\n", END },
	    .log = ">220 ok\\r\\n >250 ok\\r\\n opened >250 ok\\r\\n pass finished", },
	{ .text = SMTP,
	    .role = SERVER,
	    .turns = { "EHLO c-12\r\n", "NO", END },
	    .log = ">220 ok\\r\\n >250 ok\\r\\n opened x.talk:6: [noop], pass 0, offset 13: expected \"NOOP\\r\\n\", found the end of the stream", },
	{ .text = SMTP,
	    .role = SERVER,
	    .turns = { "EHLO c-\r\n" },
	    .log = ">220 ok\\r\\n x.talk:2: opening, offset 7: expected digits, found \"\\r\\n\" (hex 0d 0a)", },
	{ .text = "C: LIST\n"
	            "S: +OK \\{any}\n"
	            "S*: \\{any}\n"
	            "S: .\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "+OK 2\r\n1 120\r\n..x\r\n.\r\n" },
	    .log = "opened >LIST\\r\\n pass finished", },
	{ .text = "C: LIST\n"
	            "S: +OK \\{any}\n"
	            "S*: \\{any}\n"
	            "S: .\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "+OK 2\r\n1 120\r\n.\r.\r\n.\n" },
	    .log = "opened >LIST\\r\\n x.talk:3: pass 0, offset 20: expected any text up to \"\\r\\n\" or \".\\r\\n\" (line 4), of which 1 byte came, found \"\\n\" (hex 0a)", },
	{ .text = "C: LIST\n"
	            "S: +OK \\{any}\n"
	            "S*: \\{digits} \\{digits}\n"
	            "S: .\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "+OK 2\r\n1 120\r\n.x\r\n" },
	    .log = "opened >LIST\\r\\n x.talk:3: pass 0, offset 14: expected digits or \".\\r\\n\" (line 4), found \".x\\r\\n\" (hex 2e 78 0d 0a)", },
	/* A file without a literal. */
	{ .text = "ending none\nC: \\{u8 65}\nS: \\{u8 length}{\\{any}}\n",
	    .role = CLIENT,
	    .passes = 1,
	    .turns = { "\x03xyz" },
	    .log = "opened >A pass finished" },
	{ .text = "ending none\n"
	            "C: x\n"
	            "S*: aab\n"
	            "S: aaba\\{any}!\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "aabaabaaba!" },
	    .log = "opened >x pass finished", },
	{ .text = "C: x\n"
	            "S: <\\{a: any}abab!\\{b: any}>\n"
	            "C: \\{a},\\{b}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "<abaababab!>\r\n", "x" },
	    .log = "opened >x\\r\\n >abaab,\\r\\n pass finished", },
	{ .text = "C: x\n"
	            "S: \\{any}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "a\rb\r\r\n" },
	    .log = "opened >x\\r\\n pass finished", },
	{ .text = "C: x\n"
	            "S: \\{k: any}\n"
	            "C: \\{k}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { REPEAT_1000("yyyyy") },
	    .log = "opened >x\\r\\n x.talk:2: pass 0, offset 4096: expected any text up to \"\\r\\n\", found more than its limit allows, then \"yyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyyy\" (hex 79 79 79 79 79 79 79 79 79 79 79 79 79 79 79 79 79 79 79 79 79 79 79 79 ...)", },
	{ .text = "C: x\n"
	            "S: \\{k: any}\n"
	            "C: \\{k}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "\r\n" },
	    .log = "opened >x\\r\\n >\\r\\n pass finished", },
	{ .text = "ending none\n"
	            "C: x\n"
	            "S: \\{any}\\x00\\{any 3}\\{any 0}.\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "a\nb\000\n\n\n." },
	    .log = "opened >x pass finished",
	    .lengths = { 8 } },
	{ .text = "C: x\n"
	            "S: \\{n: digits} \\{hex}\n"
	            "C: \\{decimal n+1}\\{u8 n-2}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "41 aF9\r\n" },
	    .log = "opened >x\\r\\n >42'\\r\\n pass finished", },
	{ .text = "C: x\n"
	            "S: \\{digits}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "\r\n" },
	    .log = "opened >x\\r\\n x.talk:2: pass 0, offset 0: expected digits, found \"\\r\\n\" (hex 0d 0a)", },
	{ .text = "C: x\n"
	            "S: \\{digits}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "1111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111111x" },
	    .log = "opened >x\\r\\n x.talk:2: pass 0, offset 100: expected \"\\r\\n\", found \"x\" (hex 78)", },
	{ .text = "C: x\n"
	            "S: \\{n: digits}\n"
	            "C: \\{n}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "111111111111111111111" },
	    .log = "opened >x\\r\\n x.talk:2: pass 0, offset 20: expected digits, found more than its limit allows, then \"1\" (hex 31)", },
	{ .text = "C: x\n"
	            "S: \\{yes|yet|no|} \\{ok|}\n",
	    .role = CLIENT, .passes = 2,
	    .turns = { "yet \r\n", " ok\r\n" },
	    .log = "opened >x\\r\\n pass >x\\r\\n pass finished", },
	{ .text = "C: x\n"
	            "S: \\{yes|yet|no|} \\{ok|}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "yex" },
	    .log = "opened >x\\r\\n x.talk:2: pass 0, offset 2: expected \"yes\", \"yet\", \"no\" or nothing, of which 2 bytes came, found \"x\" (hex 78)", },
	{ .text = "C: x\n"
	            "S: \\{k: one|two}\n"
	            "C: \\{k}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "two\r\n" },
	    .log = "opened >x\\r\\n >two\\r\\n pass finished", },
	{ .text = "ending none\n"
	            "C: x\n"
	            "S: T\\{u32be n}\\{bytes n-4}Z\\{u32be n}\\{bytes n-4}\n"
	            "C: \\{u16le n}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "T\000\000\000\006abZ\000\000\000\005c" },
	    .log = "opened >x >\\x05\\x00 pass finished",
	    .lengths = { 13 } },
	{ .text = "ending none\n"
	            "C: x\n"
	            "S: T\\{u32be n}\\{bytes n-4}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "T\000\000\000\003" },
	    .log = "opened >x x.talk:3: pass 0, offset 5: expected -1 bytes, found a length that is negative (-1)",
	    .lengths = { 5 } },
	{ .text = "ending none\n"
	            "C: \\{u8 1}\\{u16be 0x102}\\{u16le 0x102}\\{u24be 1}\\{u24le 1}\\{u32be 1}\\{u32le 1}\\{u64be 1}\\{u64le 1}\\{varint 300}\\{decimal 7}\\{u8 pid}\\{u16be message+258}\n"
	            "S: ok\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "ok" },
	    .log = "opened >\\x01\\x01\\x02\\x02\\x01\\x00\\x00\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01\\x01\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\xac\\x027g\\x01\\x02 pass finished", },
	{ .text = "ending none\n"
	            "C: x\n"
	            "S: \\{u8 1}\\{u16be 0x102}\\{u16le 0x102}\\{varint 300}\\{u8 n}\\{u8 n+1}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "\001\001\002\002\001\254\002\005\006" },
	    .log = "opened >x pass finished", },
	{ .text = "ending none\n"
	            "C: x\n"
	            "S: \\{u8 n}\\{u8 n+1}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "\005\007" },
	    .log = "opened >x x.talk:3: pass 0, offset 1: expected \"\\x06\", found \"\\a\" (hex 07)", },
	{ .text = "ending none\n"
	            "C: x\n"
	            "S: \\{u16be n}\\{varint m}\\{u64le k}\n"
	            "C: \\{decimal n}/\\{decimal m}/\\{decimal k}\\{n}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "\001\002\200\001\003\000\000\000\000\000\000\001" },
	    .log = "opened >x >258/128/72057594037927939\\x01\\x02 pass finished",
	    .lengths = { 12 } },
	{ .text = "ending none\n"
	            "C: x\n"
	            "S: \\{varint m}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "\377\377\377\377" },
	    .log = "opened >x x.talk:3: pass 0, offset 3: expected a number of variable length, found more than its limit allows, then \"\\xff\" (hex ff)", },
	{ .text = "C: a\n"
	            "S: \\{decimal length}:{\\{any}}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "3:abc\r\n" },
	    .log = "opened >a\\r\\n pass finished", },
	{ .text = "C: a\n"
	            "S: \\{decimal length}:{\\{any}}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "4:abc\r\nx" },
	    .log = "opened >a\\r\\n x.talk:2: pass 0, offset 6: expected \"\\r\\n\", found \"\\nx\" (hex 0a 78)", },
	{ .text = "C: a\n"
	            "S: \\{decimal length}:{\\{any}}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "2:abc\r\n" },
	    .log = "opened >a\\r\\n x.talk:2: pass 0, offset 4: expected \"\\r\\n\", found \"c\\r\\n\" (hex 63 0d 0a)", },
	{ .text = "C: a\n"
	            "S: \\{decimal length}:{\\{any}}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "99999999999:" },
	    .log = "opened >a\\r\\n x.talk:2: pass 0, offset 9: expected digits (a length), found more than its limit allows, then \"99:\" (hex 39 39 3a)", },
	{ .text = "C: a\n"
	            "S: \\{decimal length}:{ab\\{digits}}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "4:ab12\r\n" },
	    .log = "opened >a\\r\\n pass finished", },
	{ .text = "C: a\n"
	            "S: \\{decimal length}:{ab\\{digits}}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "1:a" },
	    .log = "opened >a\\r\\n x.talk:2: pass 0, offset 3: expected \"ab\", found a length that ends before it", },
	{ .text = "C: a\n"
	            "S: \\{decimal length}:{ab\\{digits}}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "2:ab" },
	    .log = "opened >a\\r\\n x.talk:2: pass 0, offset 4: expected digits, found a length that ends before it", },
	{ .text = "ending none\n"
	            "C: \\{u32be length+4}{SELECT \\{message}\\0}\n"
	            "S: \\{u8 length-1}{\\{any},\\{any}}.\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "\004a,bcd." },
	    .log = "opened >\\x00\\x00\\x00\\rSELECT 0\\x00 pass finished", },
	{ .text = "ending none\n"
	            "C: a\n"
	            "S: \\{u8 length+4}{x}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "\003" },
	    .log = "opened >a x.talk:3: pass 0, offset 1: expected a number of 1 byte (a length), found a length that is negative (-1)", },
	{ .text = "ending none\n"
	            "C: \\x10\\{varint length}{\\{u16be length}{MQTT}\\x04\\{u8 length}{\\{u8 length}{x}}}\n"
	            "S: \\{varint length}{\\{u8 length}{a\\{any}}b}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "\004\002axb" },
	    .log = "opened >\\x10\\n\\x00\\x04MQTT\\x04\\x02\\x01x pass finished", },
	{ .text = "ending none\n"
	            "C: x\n"
	            "S: \\{varint length}{\\{u8 length}{a\\{any}}b}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "\004\006axb" },
	    .log = "opened >x x.talk:3: pass 0, offset 2: expected the end of the counted part, found a length that is 3 bytes longer, then \"axb\" (hex 61 78 62)", },
	{ .text = "ending none\n"
	            "C: x\n"
	            "S: \\{u32be length}{a}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "\177\377\377\377" },
	    .log = "opened >x x.talk:3: pass 0, offset 4: expected a number of 4 bytes (a length), found more than its limit allows, then nothing", },
	{ .text = "ending none\n"
	            "C: x\n"
	            "S: \\{u64be length}{a}\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "\000\000\001" },
	    .log = "opened >x x.talk:3: pass 0, offset 2: expected a number of 8 bytes (a length), found more than its limit allows, then \"\\x01\" (hex 01)",
	    .lengths = { 3 } },
	{ .text = "C: a\n"
	            "S: Length: \\{decimal length}\n"
	            "S*: \\{any}: \\{any}\n"
	            "S:\n"
	            "S: {\\{any}}\\c\n",
	    .role = CLIENT, .passes = 2,
	    .turns = { "Length: 3\r\nA: b\r\nC: d\r\n\r\nxyz", "Length: 0\r\n\r\n" },
	    .log = "opened >a\\r\\n pass >a\\r\\n pass finished", },
	{ .text = "C: {\"a\": \\{decimal length}, {\"b\": {}}} }\\c\n"
	            "S: x\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "x\r\n" },
	    .log = "opened >{\\\"a\\\": 7, \\\"b\\\": {}} } pass finished", },
	{ .text = "C: \\{payload 8}\n"
	            "S: \\{echo}\n",
	    .role = CLIENT, .passes = 2,
	    .turns = { "t\x7f\\qKhUB\r\n", "x" },
	    .log = "opened >t\\x7f\\\\qKhUB\\r\\n pass >^IPFY~kB\\r\\n x.talk:2: pass 1, offset 10: expected \"^IPFY~kB\", found \"x\" (hex 78)", },
	{ .text = "C: \\{u8 length}{\\{payload 0:3}}\n"
	            "S: \\{echo}.\n",
	    .role = SERVER,
	    .turns = { "\002@A\r\n", "\000\r\n" },
	    .log = "opened >@A.\\r\\n pass >.\\r\\n pass",
	    .lengths = { 0, 3 } },
	{ .text = "C: \\{u8 length}{\\{payload 0:3}}\n"
	            "S: \\{echo}.\n",
	    .role = SERVER,
	    .turns = { "\004@ABC\r\n" },
	    .log = "opened x.talk:1: pass 0, offset 4: expected the end of the counted part, found a length that is 1 byte longer, then \"C\\r\\n\" (hex 43 0d 0a)", },
	{ .text = "C: \\{payload 2:3}\n"
	            "S: \\{echo}.\n",
	    .role = SERVER,
	    .turns = { "@A\r\n@AB\r\n", "@\r\n" },
	    .log = "opened >@A.\\r\\n pass >@AB.\\r\\n pass x.talk:1: pass 2, offset 10: expected a payload of 2 to 3 bytes from @ to \\x7f, of which 1 byte came, found \"\\r\\n\" (hex 0d 0a)", },
	{ .text = "C: \\{payload 2}\n"
	            "S: \\{echo}.\n",
	    .role = SERVER,
	    .turns = { "@ \r\n" },
	    .log = "opened x.talk:1: pass 0, offset 1: expected a payload of 2 to 2 bytes from @ to \\x7f, of which 1 byte came, found \" \\r\\n\" (hex 20 0d 0a)", },
	{ .text = "ending none\n"
	            "C: \\{payload 20000}\n"
	            "S: \\{echo}.\n",
	    .role = SERVER,
	    .turns = { REPEAT_1000("@@@@@@@@@@@@@@@@@") },
	    .log = "opened x.talk:2: pass 0, offset 16376: expected a payload of 20000 to 20000 bytes from @ to \\x7f, found more than its limit allows, then \"@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@@\" (hex 40 40 40 40 40 40 40 40 40 40 40 40 40 40 40 40 40 40 40 40 40 40 40 40 ...)", },
	{ .text = "S: id=\\{id: hex}\n"
	            "C: \\{k: random 5}\n"
	            "--- repeat\n"
	            "C: \\{id}\\{k}\\{r: random 3}\n"
	            "S: \\{r}\\{id}\\{k}\n",
	    .role = CLIENT, .passes = 2,
	    .turns = { "id=beef\r\n", "rjmbeefz67ni\r\n" },
	    .log = ">z67ni\\r\\n opened >beefz67nirjm\\r\\n pass >beefz67ni7pv\\r\\n", },
	{ .text = "C: k \\{k: random 4}\n"
	            "S: v \\{k}\n",
	    .role = SERVER,
	    .turns = { "k ab27\r\nk zzzz\r\n", "k ab1c\r\n" },
	    .log = "opened >v ab27\\r\\n pass >v zzzz\\r\\n pass x.talk:1: pass 2, offset 20: expected 4 characters a-z or 2-7, of which 2 bytes came, found \"1c\\r\\n\" (hex 31 63 0d 0a)", },
	{ .text = "C: a\n"
	            "pause 5ms\n"
	            "C: b\n"
	            "S: c\n"
	            "pause 7ms\n"
	            "C half-close\n"
	            "S: d\n"
	            "S close\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "c\r\n", "d\r\n", END },
	    .log = "opened >a\\r\\n pause:5000000ns >b\\r\\n pause:7000000ns half-close pass finished", },
	{ .text = "C: a\n"
	            "pause 5ms\n"
	            "C: b\n"
	            "S: c\n"
	            "pause 7ms\n"
	            "C half-close\n"
	            "S: d\n"
	            "S close\n",
	    .role = SERVER,
	    .turns = { "a\r\nb\r\n", END },
	    .log = "opened >c\\r\\n >d\\r\\n close pass finished", },
	{ .text = "C: a\n"
	            "pause 5ms\n"
	            "C: b\n"
	            "S: c\n"
	            "pause 7ms\n"
	            "C half-close\n"
	            "S: d\n"
	            "S close\n",
	    .role = SERVER,
	    .turns = { "a\r\nb\r\n", "x" },
	    .log = "opened >c\\r\\n x.talk:6: pass 0, offset 6: expected the end of the stream, found \"x\" (hex 78)", },
	{ .text = "C: a\n"
	            "S: b\n"
	            "C reset\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "b\r\n" },
	    .log = "opened >a\\r\\n reset pass finished", },
	{ .text = "C: a\n"
	            "S: b\n"
	            "C reset\n",
	    .role = SERVER,
	    .turns = { "a\r\n", RESET },
	    .log = "opened >b\\r\\n pass finished", },
	{ .text = "C: a\n"
	            "S: b\n"
	            "C reset\n",
	    .role = SERVER,
	    .turns = { "a\r\n", END },
	    .log = "opened >b\\r\\n x.talk:3: pass 0, offset 3: expected a reset, found the end of the stream", },
	{ .text = "C [q]: a\n"
	            "S close\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { END },
	    .log = "opened >a\\r\\n q pass finished", },
	{ .text = "C: a\n"
	            "S: b\n"
	            "C close\n",
	    .role = SERVER,
	    .turns = { "a\r\n", END },
	    .log = "opened >b\\r\\n pass finished", },
	{ .text = "--- repeat\n"
	            "C: a\n"
	            "S: b\n"
	            "--- end\n"
	            "C close\n",
	    .role = SERVER,
	    .turns = { "a\r\n", END },
	    .log = "opened >b\\r\\n pass finished", },
	{ .text = "S: time\n"
	            "S close\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "time\r\n", END },
	    .log = "opened pass finished", },
	{ .text = "S: time\n"
	            "S close\n",
	    .role = CLIENT,
	    .turns = { "time\r\n", END },
	    .log = "opened finished", },
	{ .text = "S: > \\c\n"
	            "C: x\n"
	            "S: y\n",
	    .role = SERVER,
	    .turns = { "x\r\n", END },
	    .log = "opened >>  >y\\r\\n pass >>  finished", },
	{ .text = "--- repeat\n"
	            "C: Q\n"
	            "S: a\n"
	            "--- end\n"
	            "C: QUIT\n",
	    .role = SERVER,
	    .turns = { "Q\r\n", "QUI\r\n" },
	    .log = "opened >a\\r\\n pass x.talk:2: pass 1, offset 4: expected \"Q\\r\\n\", of which 1 byte came, found \"UI\\r\\n\" (hex 55 49 0d 0a)", },
	{ .text = "ending none\n"
	            "--- repeat\n"
	            "C: Q\\{any 1}\n"
	            "S: a\n"
	            "--- end\n"
	            "C: QUIT\n",
	    .role = SERVER,
	    .turns = { "QU", "QXQUIQ" },
	    .log = "opened >a pass >a pass x.talk:4: pass 2, offset 6: expected nothing before this line is sent, found \"IQ\" (hex 49 51)", },
	{ .text = "C: a\\r\\n\\t\\0\\x41\\\\\\}{}\n"
	            "   b\\x20\n"
	            "  c\n"
	            "C:\n"
	            "S: x\\c\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "x" },
	    .log = "opened >a\\r\\n\\t\\x00A\\\\}{}b c\\r\\n\\r\\n pass finished", },
	{ .text = "ending lf\n"
	            "C: a\n"
	            "S: b\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "b\n" },
	    .log = "opened >a\\n pass finished", },
	{ .text = "ending lf\n"
	            "C: a\n"
	            "S: b\n",
	    .role = CLIENT, .passes = 1,
	    .turns = { "b\r\n" },
	    .log = "opened >a\\n x.talk:3: pass 0, offset 1: expected \"b\\n\", of which 1 byte came, found \"\\r\\n\" (hex 0d 0a)", },
};
/* clang-format on */

static void
check_row(const struct row *row, size_t cut)
{
	struct conversation conversation;
	char error[CONVERSATION_ERROR_MAX];
	struct play play = { .passes = row->passes };
	if (conversation_compile(
		"x.talk", row->text, strlen(row->text), &conversation, error) != 0)
		fail_msg("%s", error);
	play.side = (struct player_side){ .conversation = &conversation,
		.role = row->role,
		.seed = 1,
		.pid = 4711,
		.is_undoable = cut % 2 == 0,
		.capture_max = 16384 };
	player_init(&play.side, 7, 0, &play.player);
	play_turns(&play, row->turns, row->lengths, cut);
	if (cut < WHOLE) {
		/* How many bytes came with the wrong one depends on the cut. */
		const char *found = strstr(row->log, ", found ");
		size_t length =
		    found == NULL ? strlen(row->log) : (size_t)(found - row->log);
		assert_true(strlen(play.log) >= length);
		assert_memory_equal(play.log, row->log, length);
	} else {
		assert_string_equal(play.log, row->log);
	}
	player_finish(&play.player);
	conversation_finish(&conversation);
}

static void
test_verdicts_are_the_same_for_every_cut(void **state)
{
	static const size_t cuts[] = { 1, 2, 3, 5, 8, WHOLE };
	(void)state;
	for (size_t i = 0; i < sizeof(plays) / sizeof(*plays); i++)
		for (size_t k = 0; k < sizeof(cuts) / sizeof(*cuts); k++)
			check_row(&plays[i], cuts[k]);
}

static void
start(struct conversation *conversation, const char *text, struct player_side *side,
    enum conversation_role role)
{
	char error[CONVERSATION_ERROR_MAX];
	if (conversation_compile("x.talk", text, strlen(text), conversation, error) !=
	    0)
		fail_msg("%s", error);
	*side = (struct player_side){ .conversation = conversation,
		.role = role,
		.seed = 1,
		.capture_max = 16384 };
}

static enum player_event
feed(const struct player_side *side, struct player *player, const char *text)
{
	struct player_detail detail;
	size_t used, length = strlen(text);
	enum player_event event =
	    player_feed(side, player, (const uint8_t *)text, length, &used, &detail);
	assert_int_equal(used, length);
	return event;
}

/* What one call says. */
static void
assert_said(const struct player_side *side, struct player *player, const char *text,
    uint16_t step, bool starts_pass)
{
	uint8_t out[64];
	size_t length = sizeof(out);
	uint16_t found_step;
	bool found_start;
	const uint8_t *bytes =
	    player_output(side, player, out, &length, &found_step, &found_start);
	assert_int_equal(length, strlen(text));
	assert_memory_equal(bytes, text, length);
	assert_int_equal(found_step, step);
	assert_int_equal(found_start, starts_pass);
}

static void
test_pipelined_passes_are_said_one_by_one(void **state)
{
	struct conversation conversation;
	struct player_side side;
	struct player player;
	(void)state;
	start(&conversation, "C [one]: a\nS: b\nC [two]: c\\{message}\nS: d\n", &side,
	    CLIENT);
	side.runs_ahead = true;
	player_init(&side, 0, 5, &player);
	assert_int_equal(feed(&side, &player, ""), PLAYER_OPENED);
	assert_int_equal(feed(&side, &player, ""), PLAYER_IDLE);
	player_start_pass(&player);
	player_start_pass(&player);
	assert_int_equal(feed(&side, &player, ""), PLAYER_HAS_OUTPUT);
	assert_said(&side, &player, "a\r\n", 0, true);
	assert_int_equal(player_pass_said(&side, &player), 6);
	assert_said(&side, &player, "c5\r\n", 1, false);
	assert_said(&side, &player, "a\r\n", 0, true);
	assert_int_equal(player_pass_said(&side, &player), 7);
	assert_said(&side, &player, "c6\r\n", 1, false);
	assert_said(&side, &player, "", CONVERSATION_NONE, false);
	assert_int_equal(player_pass(&player), 5);
	assert_int_equal(feed(&side, &player, "b\r\n"), PLAYER_STEP_DONE);
	assert_int_equal(feed(&side, &player, "d\r\n"), PLAYER_STEP_DONE);
	assert_int_equal(feed(&side, &player, ""), PLAYER_PASS_DONE);
	assert_int_equal(player_pass(&player), 6);
	player_start_end(&player);
	assert_int_equal(feed(&side, &player, "b\r\n"), PLAYER_STEP_DONE);
	assert_int_equal(feed(&side, &player, "d\r\n"), PLAYER_STEP_DONE);
	assert_int_equal(feed(&side, &player, ""), PLAYER_PASS_DONE);
	assert_int_equal(feed(&side, &player, ""), PLAYER_FINISHED);
	assert_int_equal(feed(&side, &player, ""), PLAYER_FINISHED);
	assert_int_equal(player_pass_said(&side, &player), 7);
	player_finish(&player);
	conversation_finish(&conversation);
}

static void
test_an_answer_may_come_while_a_long_text_is_sent(void **state)
{
	struct conversation conversation;
	struct player_side side;
	struct player player;
	struct player_detail detail;
	uint8_t out[4];
	size_t length = sizeof(out), used;
	(void)state;
	start(&conversation, "ending none\nC: abcdefgh\nS: abcdefgh\n", &side, CLIENT);
	player_init(&side, 0, 0, &player);
	assert_int_equal(feed(&side, &player, ""), PLAYER_OPENED);
	player_start_pass(&player);
	struct player before = player;
	assert_int_equal(
	    player_feed(&side, &player, (const uint8_t *)"a", 1, &used, &detail),
	    PLAYER_MISMATCH);
	assert_int_equal(detail.mismatch.fault, PLAYER_EARLY);
	player = before;
	player_output(&side, &player, out, &length, NULL, NULL);
	assert_int_equal(length, 4);
	assert_int_equal(feed(&side, &player, "abcd"), PLAYER_HAS_OUTPUT);
	length = sizeof(out);
	player_output(&side, &player, out, &length, NULL, NULL);
	assert_int_equal(feed(&side, &player, "efgh"), PLAYER_PASS_DONE);
	player_finish(&player);
	conversation_finish(&conversation);
}

static void
assert_waiting(
    const struct player_side *side, const struct player *player, const char *expected)
{
	struct player_mismatch mismatch;
	char line[256];
	player_waiting(side, player, &mismatch);
	assert_string_equal(
	    player_describe_mismatch(side, player, &mismatch, line, sizeof(line)),
	    expected);
}

static void
test_a_missing_answer_names_the_step_that_waits(void **state)
{
	struct conversation conversation;
	struct player_side side;
	struct player player;
	uint8_t out[64];
	size_t length = sizeof(out);
	(void)state;
	start(&conversation, "S: 220 \\{any}\n--- repeat\nC [q]: a\nS: \\{k: hex}.\n",
	    &side, CLIENT);
	player_init(&side, 0, 0, &player);
	assert_waiting(&side, &player,
	    "x.talk:1: opening, offset 0: expected \"220 \", found nothing");
	assert_int_equal(feed(&side, &player, "220 x\r\n"), PLAYER_OPENED);
	player_start_pass(&player);
	player_output(&side, &player, out, &length, NULL, NULL);
	assert_waiting(&side, &player,
	    "x.talk:4: [q], pass 0, offset 7: expected hexadecimal digits, found nothing");
	assert_int_equal(feed(&side, &player, "beef"), PLAYER_NEEDS_INPUT);
	assert_waiting(&side, &player,
	    "x.talk:4: [q], pass 0, offset 11: expected hexadecimal digits, found nothing");
	player_finish(&player);
	conversation_finish(&conversation);
}

/* A server that has heard `heard` is saved and loaded with another conversation. */
static enum player_load
load_with(const char *text, const char *heard, const char *other_text,
    const char *then_heard, const char *said)
{
	struct conversation conversation, other;
	struct player_side side, other_side;
	struct player player, loaded;
	struct player_detail detail;
	uint8_t out[64];
	size_t length = sizeof(out), used;
	start(&conversation, text, &side, SERVER);
	start(&other, other_text, &other_side, SERVER);
	player_init(&side, 3, 0, &player);
	for (size_t at = 0;; at += used) {
		enum player_event event = player_feed(&side, &player,
		    (const uint8_t *)heard + at, strlen(heard + at), &used, &detail);
		size_t room = sizeof(out);
		if (event == PLAYER_HAS_OUTPUT)
			player_output(&side, &player, out, &room, NULL, NULL);
		else if (event == PLAYER_NEEDS_INPUT)
			break;
	}
	size_t flat_length = player_saved_bytes(&side, &player);
	uint8_t *flat = malloc(flat_length);
	player_save(&side, &player, flat);
	enum player_load status = player_load(&other_side, flat, flat_length, &loaded);
	if (status == PLAYER_LOADED) {
		assert_int_equal(player_pass(&loaded), player_pass(&player));
		assert_int_equal(
		    feed(&other_side, &loaded, then_heard), PLAYER_HAS_OUTPUT);
		const uint8_t *bytes =
		    player_output(&other_side, &loaded, out, &length, NULL, NULL);
		assert_int_equal(length, strlen(said));
		assert_memory_equal(bytes, said, length);
		player_finish(&loaded);
	}
	free(flat);
	player_finish(&player);
	conversation_finish(&conversation);
	conversation_finish(&other);
	return status;
}

static void
test_a_saved_player_goes_on_and_takes_new_passes_from_a_new_file(void **state)
{
	static const char file[] =
	    "C: id \\{id: any}\n--- repeat\nC: \\{k: digits};a\nS: b\\{id}\\{k}\n";
	(void)state;
	assert_int_equal(
	    load_with(file, "id 7\r\n12;", file, "a\r\n", "b712\r\n"), PLAYER_LOADED);
	assert_int_equal(
	    load_with(file, "id 7\r\n12;a\r\n",
		"C: \\{id: any}\n--- repeat\nC: q\nS: \\{id}!\n", "q\r\n", "7!\r\n"),
	    PLAYER_LOADED);
	/* In the middle of a pass; in the opening; a capture is missing. */
	assert_int_equal(load_with(file, "id 7\r\n12;a\r\n1", "C: q\nS: r\n", "", ""),
	    PLAYER_OTHER_CONVERSATION);
	assert_int_equal(
	    load_with(file, "id", "C: q\nS: r\n", "", ""), PLAYER_OTHER_CONVERSATION);
	assert_int_equal(load_with(file, "id 7\r\n",
			     "C: \\{x: any}\n--- repeat\nC: q\nS: \\{x}\n", "", ""),
	    PLAYER_OTHER_CONVERSATION);
}

static void
test_a_form_that_was_cut_or_changed_is_invalid(void **state)
{
	struct conversation conversation;
	struct player_side side;
	struct player player, loaded;
	(void)state;
	start(&conversation, "C: \\{k: digits};\nS: \\{k}\n", &side, SERVER);
	player_init(&side, 0, 0, &player);
	assert_int_equal(feed(&side, &player, ""), PLAYER_OPENED);
	assert_int_equal(feed(&side, &player, "12"), PLAYER_NEEDS_INPUT);
	size_t length = player_saved_bytes(&side, &player);
	uint8_t *data = malloc(length);
	player_save(&side, &player, data);
	for (size_t n = 0; n < length; n++)
		assert_int_equal(player_load(&side, data, n, &loaded), PLAYER_INVALID);
	side.role = CLIENT;
	assert_int_equal(player_load(&side, data, length, &loaded), PLAYER_INVALID);
	side.role = SERVER;
	side.capture_max = 8;
	assert_int_equal(player_load(&side, data, length, &loaded), PLAYER_INVALID);
	free(data);
	player_finish(&player);
	conversation_finish(&conversation);
}

/* Where struct saved (player_save.c) has them. */
enum { SAVED_SAY = 48, SAVED_HEAR = 56, SAVED_DEPTH = 80 };

static void
test_a_form_that_hears_its_own_text_is_invalid(void **state)
{
	static const char nested[] =
	    "\\{u8 length}{\\{u8 length}{\\{u8 length}{abc}}}\n";
	struct conversation conversation;
	struct player_side side;
	struct player player, loaded;
	char text[256];
	(void)state;
	snprintf(
	    text, sizeof(text), "ending none\nC: a\nS: %sC: %sS: b\n", nested, nested);
	start(&conversation, text, &side, SERVER);
	player_init(&side, 0, 0, &player);
	assert_int_equal(feed(&side, &player, ""), PLAYER_OPENED);
	assert_int_equal(feed(&side, &player, "a"), PLAYER_HAS_OUTPUT);
	size_t length = player_saved_bytes(&side, &player);
	uint8_t *data = malloc(length);
	assert_non_null(data);
	player_save(&side, &player, data);
	/* In the innermost counted part of this side, which has said everything: the
	 * client's counted parts would come on top. */
	uint16_t inside = 0;
	while (conversation.parts[inside].kind != CONVERSATION_LITERAL ||
	    conversation.parts[inside].speaker != SERVER)
		inside++;
	uint16_t end = conversation.parts[inside].run_end;
	const struct player_cursor say = { .part = end }, hear = { .part = inside };
	assert_memory_equal(data + SAVED_SAY, &player.say, sizeof(say));
	assert_memory_equal(data + SAVED_HEAR, &player.hear, sizeof(hear));
	memcpy(data + SAVED_SAY, &say, sizeof(say));
	memcpy(data + SAVED_HEAR, &hear, sizeof(hear));
	data[SAVED_DEPTH] = CONVERSATION_NESTING_MAX;
	assert_int_equal(player_load(&side, data, length, &loaded), PLAYER_INVALID);
	free(data);
	player_finish(&player);
	conversation_finish(&conversation);
}

static size_t
cut(size_t length, void *argument)
{
	size_t most = *(size_t *)argument;
	return length < most ? length : most;
}

static void
test_both_sides_of_each_example_agree(void **state)
{
	static size_t cuts[] = { 1, 7, 4096 };
	(void)state;
	for (size_t i = 0; i < CONVERSATION_EXAMPLE_COUNT; i++) {
		struct conversation conversation;
		struct player_side side;
		start(&conversation, conversation_examples[i], &side, CLIENT);
		for (size_t k = 0; k < sizeof(cuts) / sizeof(*cuts); k++) {
			struct pair pair;
			pair_start(&pair, &conversation);
			pair.cut = cut;
			pair.argument = &cuts[k];
			assert_true(pair_play(&pair));
			assert_int_equal(pair.done[0], conversation.closes ? 1 : 3);
			assert_int_equal(pair.done[1], pair.done[0]);
			pair_finish(&pair);
		}
		conversation_finish(&conversation);
	}
}

/* The same connection, pass and seed say the same; another one does not. */
static void
test_random_text_and_payload_differ_for_each_pass_and_connection(void **state)
{
	static const struct {
		uint64_t seed, pass;
		uint32_t connection;
	} rows[] = { { 1, 0, 0 }, { 1, 0, 0 }, { 2, 0, 0 }, { 1, 1, 0 }, { 1, 0, 1 } };
	struct conversation conversation;
	struct player_side side;
	uint8_t first[64];
	(void)state;
	start(&conversation, "C: \\{random 20}\\{payload 20}\nS: a\n", &side, CLIENT);
	for (size_t i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct player player;
		uint8_t out[64];
		size_t length = sizeof(out);
		side.seed = rows[i].seed;
		player_init(&side, rows[i].connection, rows[i].pass, &player);
		assert_int_equal(feed(&side, &player, ""), PLAYER_OPENED);
		player_start_pass(&player);
		player_output(&side, &player, out, &length, NULL, NULL);
		assert_int_equal(length, 42);
		if (i == 0)
			memcpy(first, out, length);
		else if (i == 1)
			assert_memory_equal(first, out, length);
		else {
			assert_memory_not_equal(first, out, 20);
			assert_memory_not_equal(first + 20, out + 20, 20);
		}
		player_finish(&player);
	}
	conversation_finish(&conversation);
}

static void
test_an_idle_player_is_small(void **state)
{
	struct conversation conversation;
	struct player_side side;
	struct player player;
	(void)state;
	start(&conversation, "C: a\nS: b\n", &side, SERVER);
	player_init(&side, 0, 0, &player);
	assert_int_equal(feed(&side, &player, ""), PLAYER_OPENED);
	assert_true(sizeof(player) <= 80);
	assert_null(player.captures);
	player_finish(&player);
	conversation_finish(&conversation);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts_are_the_same_for_every_cut),
		cmocka_unit_test(test_pipelined_passes_are_said_one_by_one),
		cmocka_unit_test(test_an_answer_may_come_while_a_long_text_is_sent),
		cmocka_unit_test(test_a_missing_answer_names_the_step_that_waits),
		cmocka_unit_test(
		    test_a_saved_player_goes_on_and_takes_new_passes_from_a_new_file),
		cmocka_unit_test(test_a_form_that_was_cut_or_changed_is_invalid),
		cmocka_unit_test(test_a_form_that_hears_its_own_text_is_invalid),
		cmocka_unit_test(test_both_sides_of_each_example_agree),
		cmocka_unit_test(
		    test_random_text_and_payload_differ_for_each_pass_and_connection),
		cmocka_unit_test(test_an_idle_player_is_small),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
