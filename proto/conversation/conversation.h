/*
 * conversation.h - a conversation file, compiled: yodel-conversation(5).
 *
 * One file describes both ends. A line is said by one side and heard by the other:
 * the side that says it fills in its placeholders, the side that hears it checks them.
 *
 *     opening:  once per connection
 *     repeat:   any number of passes; a pass is one message of a load
 *     end:      once, before the connection is closed
 *
 * A compiled conversation is immutable, so that forked processes share it. Its steps (a
 * line of text, a pause, a close) consist of parts. The parts of all steps lie in one
 * array in the order of the file; a position in the conversation (player.h) is an index
 * in it.
 *
 *     line     C [login]: USER \{connection}         S: +OK \{any}
 *     parts    LITERAL "USER ", NUMBER, LITERAL "\r\n"  LITERAL "+OK ", ANY, LITERAL
 * "\r\n" run_end  ----------------------------------------^ first part of the other
 * side
 */
#ifndef PROTO_CONVERSATION_CONVERSATION_H
#define PROTO_CONVERSATION_CONVERSATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CONVERSATION_ERROR_MAX 512
#define CONVERSATION_FILE_MAX (1024 * 1024) /* bytes of a file */
#define CONVERSATION_STEPS_MAX 1000
#define CONVERSATION_PARTS_MAX 8000
#define CONVERSATION_TEXT_MAX (256 * 1024)     /* bytes of all literal text */
#define CONVERSATION_NAMES_MAX 256             /* captures; named steps */
#define CONVERSATION_NAME_MAX 32               /* bytes of a name, with its NUL */
#define CONVERSATION_NESTING_MAX 3             /* counted parts in each other */
#define CONVERSATION_ALTERNATIVES_MAX 16       /* of one choice */
#define CONVERSATION_CAPTURE_MAX 4096          /* bytes of a captured text */
#define CONVERSATION_PAYLOAD_MAX (1024 * 1024) /* bytes of a payload */
#define CONVERSATION_RANDOM_MAX 256
#define CONVERSATION_DECIDE_MAX 64 /* bytes that decide between two lines */

enum conversation_role { CONVERSATION_CLIENT, CONVERSATION_SERVER };

enum conversation_section {
	CONVERSATION_OPENING,
	CONVERSATION_REPEAT,
	CONVERSATION_END,
	CONVERSATION_SECTION_COUNT
};

enum conversation_ending {
	CONVERSATION_CRLF,
	CONVERSATION_LF,
	CONVERSATION_NO_ENDING,
};

/* Kind of a part of a step. */
enum conversation_kind {
	CONVERSATION_LITERAL,   /* `length` bytes from `at` */
	CONVERSATION_NUMBER,    /* `term` + add, written in `form` */
	CONVERSATION_RANDOM,    /* `length` characters a-z, 2-7 */
	CONVERSATION_PAYLOAD,   /* at to length bytes, seeded */
	CONVERSATION_REFERENCE, /* the bytes of part `reference` once more */
	CONVERSATION_ANY,       /* up to the literal that follows, or its group's end */
	CONVERSATION_BYTES,     /* `term` + add bytes, whatever they are */
	CONVERSATION_ALTERNATIVES, /* one of `length` literals: choices[at] and on */
	CONVERSATION_GROUP_BEGIN,  /* of a counted part; its end is `reference` */
	CONVERSATION_GROUP_END,
	CONVERSATION_STAR_BEGIN, /* S*: ; the literal after its lines is `reference` */
	CONVERSATION_STAR_END,   /* back to the STAR_BEGIN `reference` */
	CONVERSATION_PAUSE,      /* `number` nanoseconds */
	CONVERSATION_HALF_CLOSE,
	CONVERSATION_CLOSE,
	CONVERSATION_RESET,
};

enum conversation_form { /* how a number is written */
	CONVERSATION_U8,
	CONVERSATION_U16BE,
	CONVERSATION_U16LE,
	CONVERSATION_U24BE,
	CONVERSATION_U24LE,
	CONVERSATION_U32BE,
	CONVERSATION_U32LE,
	CONVERSATION_U64BE,
	CONVERSATION_U64LE,
	CONVERSATION_VARINT,  /* MQTT: 7 bits a byte, the lowest first, 4 bytes at most
			       */
	CONVERSATION_DECIMAL, /* digits */
	CONVERSATION_HEX,     /* digits, in either case */
	CONVERSATION_FORM_COUNT
};

enum conversation_term {
	CONVERSATION_TERM_FREE,       /* `number` from the side that says it; any */
	CONVERSATION_TERM_CONSTANT,   /* `number` */
	CONVERSATION_TERM_CONNECTION, /* as free for the side that hears it */
	CONVERSATION_TERM_MESSAGE,    /* as free for the side that hears it */
	CONVERSATION_TERM_PID,        /* as free for the side that hears it */
	CONVERSATION_TERM_REFERENCE,  /* value of the number at part `reference` */
	CONVERSATION_TERM_LENGTH,     /* bytes of the counted part that begins there */
};

#define CONVERSATION_NONE UINT16_MAX

struct conversation_part {
	uint8_t kind;       /* enum conversation_kind */
	uint8_t speaker;    /* enum conversation_role: the side that says it */
	uint8_t section;    /* enum conversation_section */
	uint8_t form;       /* NUMBER: enum conversation_form */
	uint8_t term;       /* NUMBER, BYTES: enum conversation_term */
	bool is_binary;     /* PAYLOAD: all byte values, else 0x40-0x7f */
	bool crosses_lines; /* ANY: may contain a line end */
	bool is_captured;   /* ANY, NUMBER: has a name */
	uint16_t step;
	uint16_t run_end; /* first part behind it that the other side says, or the end
			     of the section */
	/* In the first part of a run: the run counts as begun when bytes of this part
	 * are said (the first text behind the last pause, else run_end). */
	uint16_t run_begun;
	uint16_t
	    exchange;  /* index in step_names of the step that it answers; or NONE */
	uint16_t slot; /* where the side that hears it keeps it; or NONE */
	uint16_t reference;
	uint32_t at, length;
	int64_t add;
	uint64_t number; /* constant; ns; PAYLOAD: offset in the payload of a pass */
};

struct conversation_step {
	uint32_t line;       /* in the file, from 1 */
	uint16_t first, end; /* its parts */
	uint8_t speaker;     /* enum conversation_role */
	bool is_repeated;    /* S*: */
	uint16_t name;       /* index in step_names; or NONE */
};

struct conversation_range {
	uint16_t first, end;    /* parts; equal if the section is empty */
	uint64_t payload_bytes; /* the most of one pass through it */
};

struct conversation_choice {
	uint32_t at, length; /* in bytes */
};

struct conversation {
	char *file;     /* name for messages; heap, owned, as all that follows */
	uint8_t *bytes; /* literal text */
	/* For each literal after an ANY, at the same offsets as in `bytes`: length of
	 * the longest proper prefix that is also a suffix (Knuth, Morris, Pratt 1977).
	 */
	uint32_t *failures;
	struct conversation_part *parts;
	struct conversation_step *steps;
	struct conversation_choice *choices;
	char (*slot_names)[CONVERSATION_NAME_MAX]; /* "payload" for that of \{echo} */
	char (*step_names)[CONVERSATION_NAME_MAX]; /* C [NAME]: */
	uint32_t byte_count;
	uint32_t choice_count;
	uint16_t part_count, step_count, slot_count, step_name_count;
	uint16_t opening_slots; /* slots of the opening come first */
	enum conversation_ending ending;
	struct conversation_range sections[CONVERSATION_SECTION_COUNT];
	bool closes; /* a pass ends with a close or reset: one pass per connection */
	/* "FILE:LINE: ..." why passes cannot be pipelined (player_side.runs_ahead), or
	 * why the server's side cannot be played; "" if they can. */
	char pipeline_refusal[CONVERSATION_ERROR_MAX];
	char server_refusal[CONVERSATION_ERROR_MAX];
	uint64_t digest; /* differs if anything differs on which a player depends */
};

/* Compiles a text; `file` is its name in messages. 0, EX_USAGE (a mistake) or EX_OSERR
 * (out of memory) with one line in error[CONVERSATION_ERROR_MAX]: a mistake is
 * "FILE:LINE:COLUMN: found ..., expected ...", from 1, columns in bytes. On 0 the
 * caller calls conversation_finish. */
int conversation_compile(const char *file, const char *text, size_t length,
    struct conversation *ret, char *error) __attribute__((warn_unused_result));
/* Reads and compiles a file. As above, or EX_NOINPUT: it cannot be read. */
int conversation_load(const char *path, struct conversation *ret, char *error)
    __attribute__((warn_unused_result));
/* Frees the memory; zeroed memory is accepted. */
void conversation_finish(struct conversation *conversation);

/* The line of a part in the file. */
static inline uint32_t
conversation_line(const struct conversation *conversation, uint16_t part)
{
	return conversation->steps[conversation->parts[part].step].line;
}

#endif
