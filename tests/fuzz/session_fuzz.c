/*
 * Sessions of conversations (worker/conversation/session.h). The first byte chooses:
 *
 *   0      the rest is what a worker received with a connection: it is adopted, by the
 *          same or another conversation, or refused, and then plays something
 *   else   the rest is what a client says; wherever it is cut, with the session saved
 *          and read again at each cut, the server says the same and comes to the same
 *          end. The byte is the length of a piece.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "tests/lib/must.h"
#include "worker/conversation/session.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OPENING                                                                        \
	"S: 220 ready\n"                                                               \
	"C: LOGIN \\{connection}\n"                                                    \
	"S: 250 welcome\n"                                                             \
	"--- repeat\n"
static const char *const texts[] = {
	OPENING "C: PUT \\{decimal length} {\\{payload 1:3000}}\n"
		"S: GOT \\{echo}\n"
		"C: NEXT\n"
		"S: OK \\{message}\n"
		"--- end\n"
		"C: QUIT\n"
		"S: 221 bye\n"
		"S close\n",
	OPENING "C: GET\n"
		"S: VALUE \\{message}\n",
	"ending none\n"
	"C: \\{u8 length}{\\{payload 0:200 binary}}\n"
	"S: \\{u16be length}{\\{echo}}\n"
	"C half-close\n"
	"S: end\n"
	"S close\n",
};
#define TEXTS (sizeof(texts) / sizeof(texts[0]))

static struct player_side sides[TEXTS];

static void
compile_all(void)
{
	static struct conversation conversations[TEXTS];
	char error[CONVERSATION_ERROR_MAX];

	for (size_t i = 0; i < TEXTS; i++) {
		must(conversation_compile("t.talk", texts[i], strlen(texts[i]),
			 &conversations[i], error) == 0);
		sides[i] = (struct player_side){ .conversation = &conversations[i],
			.role = CONVERSATION_SERVER,
			.capture_max = 1000 };
	}
}

struct outcome {
	enum session_status status;
	enum close_reason reason; /* SESSION_ENDED */
	uint64_t passes;
	size_t length;
	uint8_t said[65536];
};

/* Plays one piece from and to *input. */
static void
play(const struct player_side *side, struct buffer **input, const uint8_t *data,
    size_t length, bool is_end, struct outcome *outcome)
{
	struct session session;
	size_t used = 0;

	if (*input == NULL)
		session_init(side, 1, &session);
	else
		must(session_open(side, *input, &session) == 0);
	if (is_end)
		session_set_end(&session);
	do {
		size_t n;
		struct session_output out = { .data = outcome->said + outcome->length,
			.room = sizeof(outcome->said) - outcome->length };
		if (out.room > 50)
			out.room = 50;
		must(out.room > 0);
		outcome->status =
		    session_play(&session, data + used, length - used, &n, &out);
		if (outcome->status == SESSION_HALF_CLOSES)
			session.half_closes = false;
		must(n <= length - used && out.length <= out.room);
		used += n;
		outcome->length += out.length;
		outcome->passes += out.passes;
	} while (
	    outcome->status == SESSION_FULL || outcome->status == SESSION_HALF_CLOSES);
	outcome->reason = session.reason;
	must(outcome->status == SESSION_ENDED ||
	    (outcome->status == SESSION_WAITS && used == length));
	must(session_save(&session, input, data + used, length - used) == 0);
	must(session_waiting_bytes(*input) == length - used);
	session_close(&session);
}

static void
play_in_pieces(const struct player_side *side, const uint8_t *data, size_t size,
    size_t piece, struct outcome *outcome)
{
	struct buffer *input = NULL;

	*outcome = (struct outcome){ .status = SESSION_WAITS };
	for (size_t at = 0; at < size && outcome->status != SESSION_ENDED; at += piece)
		play(side, &input, data + at, size - at < piece ? size - at : piece,
		    false, outcome);
	if (outcome->status != SESSION_ENDED)
		play(side, &input, data, 0, true, outcome);
	must(outcome->status == SESSION_ENDED);
	buffer_release(&input);
}

static void
compare_cuts(
    const struct player_side *side, const uint8_t *data, size_t size, size_t piece)
{
	static struct outcome whole, cut;

	play_in_pieces(side, data, size, size + 1, &whole);
	play_in_pieces(side, data, size, piece, &cut);
	must(whole.reason == cut.reason && whole.passes == cut.passes &&
	    whole.length == cut.length &&
	    memcmp(whole.said, cut.said, cut.length) == 0);
}

static void
adopt(const struct player_side *side, const uint8_t *data, size_t size)
{
	static struct outcome outcome;
	struct buffer *input = NULL;

	must(buffer_append(&input, data, size) == 0);
	(void)session_is_between_passes(data, size);
	if (session_adopt(side, &input)) {
		struct session session;
		size_t used;
		struct session_output out = { .data = outcome.said,
			.room = sizeof(outcome.said) };
		if (input == NULL)
			session_init(side, 1, &session);
		else
			must(session_open(side, input, &session) == 0);
		enum session_status status =
		    session_play(&session, (const uint8_t *)"GET\r\n", 5, &used, &out);
		must(used <= 5 && status <= SESSION_ENDED);
		session_close(&session);
	}
	buffer_release(&input);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	if (sides[0].conversation == NULL)
		compile_all();
	if (size == 0 || size > 8000)
		return 0;
	for (size_t i = 0; i < TEXTS; i++) {
		if (data[0] == 0)
			adopt(&sides[i], data + 1, size - 1);
		else
			compare_cuts(&sides[i], data + 1, size - 1, data[0]);
	}
	return 0;
}
