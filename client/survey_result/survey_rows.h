/*
 * survey_rows.h - what `yodel survey` found out about a path: one row for each probe,
 * with typed fields.
 *
 * SURVEY_ROWS names the rows, survey_fields the fields of each. JSON, its schema, the
 * text, the page and the thresholds are made from these two tables. A row claims what
 * its certainty says and no more:
 *
 *   proved     a count that has one explanation
 *   seen       observed n times in m tries
 *   bounded    an interval, or "to N": nothing was found up to there
 *   likely     an inference; the text names the alternative
 *   no sign    looked for and not found; the text says what would have been missed
 *   not asked  the reason is in the row
 */
#ifndef CLIENT_SURVEY_RESULT_SURVEY_ROWS_H
#define CLIENT_SURVEY_RESULT_SURVEY_ROWS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/survey_result/bracket.h"

/* id, group, question: in the order of the report. */
/* clang-format off */
#define SURVEY_ROWS(ROW)                                                               \
	ROW(reach, WAY, "does the far end answer, and how fast?")                      \
	ROW(hops, WAY, "how many routers away do the SYN and our bytes end?")          \
	ROW(server_first, WAY, "do the server's first bytes come if the client is silent?") \
	ROW(split, ENDS, "which host acknowledges our bytes?")                         \
	ROW(split_back, ENDS, "which host acknowledges the server's bytes?")           \
	ROW(syn, ENDS, "does our SYN arrive as it was sent?")                          \
	ROW(source, ADDRESSES, "which address and port does the server see?")          \
	ROW(backends, ADDRESSES, "how many servers answer, chosen how?")               \
	ROW(mapping, ADDRESSES, "does one source port look the same to two targets?")  \
	ROW(reuse, ADDRESSES, "can a source port be used again at once?")              \
	ROW(half_close, CLOSE, "client ends sending: does the server's later answer come?") \
	ROW(half_close_back, CLOSE, "server ends sending: do the client's later bytes arrive?") \
	ROW(reset, CLOSE, "how does the client's reset reach the server?")             \
	ROW(reset_back, CLOSE, "how does the server's reset reach the client?")        \
	ROW(before, BYTES, "does anything arrive before our bytes?")                   \
	ROW(big, BYTES, "do large segments pass in both directions?")                  \
	ROW(payload, BYTES, "are kinds of first bytes changed, lost or cut?")          \
	ROW(concurrent, LIMITS, "how many connections at a time?")                     \
	ROW(by_source, LIMITS, "is that limit for each client address?")               \
	ROW(burst, LIMITS, "how many new connections at once?")                        \
	ROW(rate, LIMITS, "how many new connections a second?")                        \
	ROW(load, LIMITS, "what happens to bytes at full speed?")                      \
	ROW(idle, TIME, "when is an idle connection forgotten, and what then?")        \
	ROW(keepalive, TIME, "do TCP keepalives keep a connection?")                   \
	ROW(half_closed, TIME, "how long does a half-closed connection live?")         \
	ROW(life, TIME, "does an active connection live on?")                          \
	ROW(ledger, COUNTERS, "what do the server's own counters say?")
/* clang-format on */

#define SURVEY_ROW_ID(id, group, question) SURVEY_##id,
enum survey_row_id { SURVEY_ROWS(SURVEY_ROW_ID) SURVEY_ROW_COUNT };
#undef SURVEY_ROW_ID

enum survey_group {
	SURVEY_GROUP_WAY,
	SURVEY_GROUP_ENDS,
	SURVEY_GROUP_ADDRESSES,
	SURVEY_GROUP_CLOSE,
	SURVEY_GROUP_BYTES,
	SURVEY_GROUP_LIMITS,
	SURVEY_GROUP_TIME,
	SURVEY_GROUP_COUNTERS,
};
extern const char *const survey_group_names[];

enum survey_certainty {
	SURVEY_NOT_ASKED,
	SURVEY_PROVED,
	SURVEY_SEEN,
	SURVEY_BOUNDED,
	SURVEY_LIKELY,
	SURVEY_NO_SIGN,
};
extern const char *const survey_certainty_names[];

struct survey_row_kind {
	const char *id;
	enum survey_group group;
	const char *question;
};
extern const struct survey_row_kind survey_row_kinds[SURVEY_ROW_COUNT];

/* The row of that name; SURVEY_ROW_COUNT if there is none. */
enum survey_row_id survey_row_find(const char *id);

enum survey_kind { SURVEY_WORD, SURVEY_TEXT, SURVEY_COUNT, SURVEY_REAL };

struct survey_field {
	enum survey_row_id row;
	const char *name; /* ends in its unit: _s, _ms, _bytes */
	enum survey_kind kind;
	bool is_evidence;  /* shown with -v */
	const char *words; /* SURVEY_WORD: the possible values, separated by '|' */
	const char *about;
};
extern const struct survey_field survey_fields[]; /* ends with a NULL name */

struct survey_value {
	const struct survey_field *field;
	double number;
	char text[128];
};

#define SURVEY_VALUES_MAX 24
#define SURVEY_TEXT_MAX 256
#define SURVEY_MARK_MAX 384

struct survey_row {
	enum survey_certainty certainty;
	uint32_t seen, tried;         /* tried 0: not a matter of repetitions */
	char text[SURVEY_TEXT_MAX];   /* the answer in words */
	char reason[SURVEY_TEXT_MAX]; /* why it was not asked, or not completely */
	char mark[SURVEY_MARK_MAX];   /* consequence and usual setting; "": none */
	const char *norm;             /* "RFC 5382 REQ-5", or NULL */
	double norm_at_least_s;
	struct survey_value values[SURVEY_VALUES_MAX];
	uint32_t value_count;
};

#define SURVEY_RUNGS_MAX 64

struct survey_threshold_outcome;

struct survey_result {
	char target[128], address[64], second[128];
	char server[96];   /* what it is, in words */
	char instance[65]; /* of the witness; "" */
	bool is_witness;
	uint32_t witness_version, generation;
	double witness_idle_s; /* its own timeout; 0: none */
	uint64_t started_ns;   /* since the epoch */
	double took_s, fast_s; /* in all; until only waiting was left */
	double planned_s;      /* --duration */
	uint64_t connections, connections_open_most, connections_announced;
	uint64_t bytes;                  /* sent and received */
	char disturbed[SURVEY_TEXT_MAX]; /* "": not */
	char failure[SURVEY_TEXT_MAX];   /* why the path could not be surveyed; "" */
	bool is_interrupted;
	struct survey_row rows[SURVEY_ROW_COUNT];
	struct bracket_trial client_first[SURVEY_RUNGS_MAX];
	struct bracket_trial server_first[SURVEY_RUNGS_MAX];
	struct bracket_trial half_closed[SURVEY_RUNGS_MAX];
	uint32_t client_first_count, server_first_count, half_closed_count;
	struct survey_threshold_outcome *thresholds; /* heap */
	uint32_t threshold_count;
};

/* Sets a field, which must be in the table. */
void survey_set_word(struct survey_result *result, enum survey_row_id row,
    const char *name, const char *word);
void survey_set_text(struct survey_result *result, enum survey_row_id row,
    const char *name, const char *text);
void survey_set_number(struct survey_result *result, enum survey_row_id row,
    const char *name, double number);

/* A field that has been set; NULL if it has not. */
const struct survey_value *survey_get(
    const struct survey_result *result, enum survey_row_id id, const char *name);
/* The answer of a row; "" without one. */
const char *survey_answer(const struct survey_result *result, enum survey_row_id row);

/* Completes a row: its answer (a word of the table), certainty and text. */
void survey_conclude(struct survey_result *result, enum survey_row_id id,
    const char *answer, enum survey_certainty certainty, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
/* Marks a row: what happens to an application, and the setting that is usually
 * responsible. Of several marks the first stays. */
void survey_mark(struct survey_result *result, enum survey_row_id id,
    const char *format, ...) __attribute__((format(printf, 3, 4)));
void survey_not_asked(struct survey_result *result, enum survey_row_id id,
    const char *format, ...) __attribute__((format(printf, 3, 4)));

uint32_t survey_marked(const struct survey_result *result);

/* Writes "seen 3/3", "bounded", ... into buffer[32], returned. */
const char *survey_certainty_text(const struct survey_row *row, char *buffer);

#endif
