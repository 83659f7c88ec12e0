/*
 * witness.h - the protocol of the reply "witness": a server that tells a client what it
 * sees of the client's connection, and does on it what the client asks for (yodel
 * survey). Both sides use this file.
 *
 * The server greets at once with one line. From then on the client sends commands, one
 * a line of at most WITNESS_LINE_MAX bytes, end included ("\n" or "\r\n"); fields are
 * separated by one space, numbers are decimal:
 *
 *   info         answers with the record of this connection
 *   ask ID       answers with the record of any connection of this server, open or
 *                closed, whichever worker has it
 *   say T N      after T ms, sends N bytes of the pattern
 *   fin T        after T ms, ends the server's stream; then discards all input
 *   rst T        after T ms, resets the connection
 *   hold T       reads nothing for T ms, then answers with the record; then discards
 *   sink         discards all further input
 *   echo         sends all further input back
 *   source N     sends N bytes of the pattern
 *   keepalive T  the server's kernel sends a keepalive probe after T ms of silence and
 *                each T ms after it (rounded up to whole seconds; 0: no more); answers
 *                with the record
 *
 * T is at most WITNESS_WAIT_MAX_MS and N at most WITNESS_BYTES_MAX. There is one timer:
 * say, fin, rst and hold set it, in place of what was due before. Commands that need no
 * timer are answered while it runs. "Discards" and "echo" are for ever: no command is
 * read after them; what is due still happens. During hold and until all bytes of say
 * and source are sent, nothing is read. All input counts, discarded or not: received,
 * crc32.
 *
 * Bytes before the first line that is a command are not an error: they are counted, the
 * first WITNESS_BEFORE_MAX of them are kept and told ("before"). A client that looks
 * for bytes without a line end before its own sends an empty line first, which counts
 * as one of them. After the first command an empty line is ignored, and any other line,
 * or WITNESS_PREFACE_MAX bytes without a command, closes (witness_bad_command).
 *
 * When the client ends its stream, the server does what is still due, sends what is
 * queued, and closes.
 *
 * Every answer is one line of JSON. Its members have this order; a reader ignores
 * others. All times are in whole us since the server accepted the connection.
 *
 *   greeting  {"yodel_witness":1,     version of this protocol
 *              "id":"HEX",            of this connection, 32 digits, for "ask"
 *              "idle_ms":N,           timeouts.idle of the server; 0: none
 *              "open":N,              connections open at this listener in this worker
 *              "accepted":N,          and ever accepted
 *              "syn_headers":"HEX",   IP and TCP header of the SYN as it arrived; ""
 *                                     if the kernel has none
 *              ...}                   all members of whoami (proto/whoami.h): "slot",
 *                                     "generation", "instance", "connection", "client",
 *                                     "socket":{"peer","local"}, "proxy", "syn", "tcp"
 *   answer    {"answer":"info",       the command: info, ask, hold, keepalive
 *              "record":RECORD}       null: ask knows no such connection
 *   RECORD    {"id":"HEX",
 *              "slot":N,              of the worker that wrote the record
 *              "generation":N,        the same
 *              "instance":"TEXT",     of the server
 *              "open":BOOL,
 *              "closed":"TEXT",       close reason (proto/close_reason.h); null: open
 *              "age_us":N,            when the record was written
 *              "received":N,          bytes that were read, since the connection began
 *              "unread":N,            further bytes that the server's kernel has
 * received "sent":N,              bytes that the kernel took (the greeting included)
 *              "unsent":N,            further bytes that wait for the kernel
 *              "crc32":"HEX",         of all bytes that were read, 8 digits
 *              "before":{"bytes":N,   read before the first command
 *                        "hex":"HEX"} the first of them
 *              "tcp_at_us":N,         when "tcp" was read
 *              "tcp":TCP,             null: the connection is not TCP, or closed at
 * once "events":[EVENT...]}   at most WITNESS_EVENTS_MAX; when there are more, the last
 * one replaces the one before EVENT     {"event":"TEXT",        enum witness_event_kind
 *              "at_us":N,
 *              "received":N,          of the record, at that time
 *              "sent":N}
 *   TCP       {"state":"TEXT",        of the socket, as in ss(8): "established", ...
 *              ...}                   TCP_INFO_FIELDS: numbers, and true or false
 *
 * With TLS, received and crc32 are of the contents; unread, sent and TCP count records.
 *
 * The record of another worker's connection is as old as its last event; while it
 * holds, or sends the bytes of say or source, it is at most WITNESS_REFRESH_MS old.
 */
#ifndef PROTO_WITNESS_WITNESS_H
#define PROTO_WITNESS_WITNESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/address.h"
#include "net/tcp_info.h"
#include "net/tcp_syn.h"
#include "proto/close_reason.h"
#include "proto/whoami.h"

#define WITNESS_VERSION 1
#define WITNESS_LINE_MAX 128
#define WITNESS_WAIT_MAX_MS (2 * 60 * 60 * 1000)
#define WITNESS_BYTES_MAX (16 * 1024 * 1024)
#define WITNESS_BEFORE_MAX 256
#define WITNESS_PREFACE_MAX (64 * 1024)
#define WITNESS_EVENTS_MAX 16
#define WITNESS_REFRESH_MS 100
#define WITNESS_GREETING_MAX (WHOAMI_MAX + 512) /* bytes, end included */
#define WITNESS_ANSWER_MAX 6144                 /* the same */

#define WITNESS_ID_BYTES 16
#define WITNESS_ID_TEXT (2 * WITNESS_ID_BYTES + 1)

struct witness_id {
	uint8_t bytes[WITNESS_ID_BYTES];
};

/* X(identifier, name, fields that follow: NONE, WAIT, COUNT, WAIT_COUNT or ID, true if
 * it is answered with a record) */
#define WITNESS_COMMANDS(X)                                                            \
	X(INFO, info, NONE, true)                                                      \
	X(ASK, ask, ID, true)                                                          \
	X(SAY, say, WAIT_COUNT, false)                                                 \
	X(FIN, fin, WAIT, false)                                                       \
	X(RST, rst, WAIT, false)                                                       \
	X(HOLD, hold, WAIT, true)                                                      \
	X(SINK, sink, NONE, false)                                                     \
	X(ECHO, echo, NONE, false)                                                     \
	X(SOURCE, source, COUNT, false)                                                \
	X(KEEPALIVE, keepalive, WAIT, true)

enum witness_command_kind {
#define X(id, ...) WITNESS_##id,
	WITNESS_COMMANDS(X)
#undef X
	    WITNESS_COMMAND_COUNT
};

struct witness_command {
	enum witness_command_kind kind;
	uint32_t wait_ms; /* T */
	uint32_t bytes;   /* N */
	struct witness_id id;
};

/* X(identifier, name) */
#define WITNESS_EVENTS(X)                                                              \
	X(EOF, eof)                 /* the client has ended its stream */              \
	X(RESET, reset)             /* a RST has arrived */                            \
	X(UNREACHABLE, unreachable) /* retransmissions timed out, or an ICMP error */  \
	X(SAID, said)     /* the kernel has taken all bytes of say or source */        \
	X(FIN_SENT, fin)  /* the server has ended its stream */                        \
	X(RST_SENT, rst)  /* the server resets */                                      \
	X(HELD, held)     /* a hold has ended */                                       \
	X(MOVED, moved)   /* to another worker */                                      \
	X(CLOSED, closed) /* see "closed" for the reason */

enum witness_event_kind {
#define X(id, ...) WITNESS_EVENT_##id,
	WITNESS_EVENTS(X)
#undef X
	    WITNESS_EVENT_KIND_COUNT
};

struct witness_event {
	uint64_t at_us;
	uint64_t received, sent;
	uint32_t kind; /* enum witness_event_kind */
};

struct witness_record {
	struct witness_id id;
	uint32_t slot, generation;
	bool is_open;
	bool has_tcp;
	uint8_t reason; /* enum close_reason, unless is_open; CLOSE_REASON_COUNT: one
			   that this program does not know */
	uint64_t age_us;
	uint64_t received, unread, sent, unsent; /* bytes */
	uint32_t crc32;
	uint32_t before_bytes; /* ever; the first WITNESS_BEFORE_MAX are kept */
	uint8_t before[WITNESS_BEFORE_MAX];
	uint64_t tcp_at_us;
	struct tcp_info_view tcp;
	uint32_t event_count;
	struct witness_event events[WITNESS_EVENTS_MAX];
};

/* Contents of the greeting beside whoami. */
struct witness_greeting {
	struct witness_id id;
	uint64_t idle_ms, open, accepted;
	uint8_t syn_headers[TCP_SYN_MAX];
	size_t syn_bytes; /* 0: unknown */
};

/* Contents of a greeting, for a client. */
struct witness_view {
	struct witness_greeting greeting;
	char instance[WHOAMI_INSTANCE_MAX + 1];
	uint32_t slot, generation;
	struct address_compact client;      /* of the PROXY header, or the peer */
	struct address_compact peer, local; /* of the socket; family 0: unknown */
	bool has_header;                    /* a PROXY header announced `client` */
	bool has_syn, has_tcp;
	struct tcp_syn syn;       /* decoded from syn_headers */
	struct tcp_info_view tcp; /* its members of whoami.h */
};

/* Contents of an answer, for a client. */
struct witness_answer {
	enum witness_command_kind kind; /* INFO, ASK, HOLD, KEEPALIVE */
	bool has_record;                /* false: ask knows no such connection */
	char instance[WHOAMI_INSTANCE_MAX + 1];
	struct witness_record record;
};

extern const char *const witness_command_names[]; /* by enum witness_command_kind */
extern const char *const witness_event_names[];   /* by enum witness_event_kind */
/* 0: unknown. */
uint32_t witness_tcp_state_of(const char *name);

/* 32 lower-case hex digits and a NUL. */
void witness_id_format(const struct witness_id *id, char out[WITNESS_ID_TEXT]);
/* False unless text[length] is 32 hex digits. */
bool witness_id_parse(const char *text, size_t length, struct witness_id *ret)
    __attribute__((warn_unused_result));

/* Parses a line without its end. False, with *ret untouched, if it is no command or a
 * number exceeds its bound. */
bool witness_command_parse(const char *line, size_t length, struct witness_command *ret)
    __attribute__((warn_unused_result));
/* Writes the command with its end; the bytes, without a NUL. */
size_t witness_command_format(
    const struct witness_command *command, char out[WITNESS_LINE_MAX]);

/* The pattern that say and source send, each from offset 0: bytes offset .. offset +
 * length - 1. */
void witness_fill(uint64_t offset, uint8_t *out, size_t length);

/* CRC-32 (ISO-HDLC, as zlib's crc32()) of further bytes; begins with 0. */
uint32_t witness_crc32(uint32_t crc, const void *data, size_t length);

/* Write a line with its end into `out`; the bytes. `whoami` is a line of
 * whoami_write(). */
size_t witness_greeting_write(const struct witness_greeting *greeting,
    const char *whoami, size_t length, char out[WITNESS_GREETING_MAX]);
/* `record` NULL: unknown. */
size_t witness_answer_write(enum witness_command_kind kind,
    const struct witness_record *record, const char *instance,
    char out[WITNESS_ANSWER_MAX]);

/* Read a line of any origin, with or without its end. False, with *ret untouched, if it
 * is not such a line or there is no memory; members that are missing are 0. */
bool witness_greeting_read(const char *line, size_t length, struct witness_view *ret)
    __attribute__((warn_unused_result));
bool witness_answer_read(const char *line, size_t length, struct witness_answer *ret)
    __attribute__((warn_unused_result));
/* The version that a greeting names, also one that is not WITNESS_VERSION; 0: the line
 * is no greeting. */
uint32_t witness_greeting_version(const char *line, size_t length);

#endif
