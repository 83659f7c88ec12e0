/*
 * state_fields.h - what stands in a line of an inheritance (state_save.h): numbers
 * within their bounds, and descriptors that the exec has left open.
 *
 * A descriptor is claimed by the one line that names it: it exists, is of the kind that
 * the line means, and is not closed on exec, as only what was left to us is. From then
 * on it is, so that no other line can have it. If the whole cannot be read all claims
 * are given back, for the program that left this.
 */
#ifndef MASTER_UPGRADE_STATE_FIELDS_H
#define MASTER_UPGRADE_STATE_FIELDS_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/ledger.h"

struct state_field_range {
	int64_t min, max;
};

#define STATE_FLAG                                                                     \
	{                                                                              \
		0, 1                                                                   \
	}
#define STATE_FD                                                                       \
	{                                                                              \
		0, INT_MAX                                                             \
	}
#define STATE_COUNT                                                                    \
	{                                                                              \
		0, INT64_MAX                                                           \
	}
#define STATE_ID                                                                       \
	{                                                                              \
		0, UINT32_MAX                                                          \
	}
#define STATE_SLOT                                                                     \
	{                                                                              \
		0, LEDGER_SLOTS - 1                                                    \
	}

enum state_fd_kind {
	STATE_FD_FILE,
	STATE_FD_LISTENER,   /* a listening stream socket */
	STATE_FD_CONNECTION, /* another stream socket */
	STATE_FD_CHANNEL,    /* of SOCK_SEQPACKET */
};

struct state_fd_claims {
	int *fds;
	size_t count;
};

/* A line's numbers as rows[count] want them, one space between two; none before the
 * first. What follows the last one and its space ("" at the end); NULL: not so. */
char *state_fields_parse(char *text, const struct state_field_range *rows, size_t count,
    int64_t *ret) __attribute__((warn_unused_result));

/* The same where nothing may follow. 0, or -1. */
int state_fields_parse_all(char *text, const struct state_field_range *rows,
    size_t count, int64_t *ret) __attribute__((warn_unused_result));
int state_fields_parse_one(char *text, int64_t min, int64_t max, int64_t *ret)
    __attribute__((warn_unused_result));

/* 0, or -1 with errno. */
int state_fields_claim(struct state_fd_claims *claims, enum state_fd_kind kind, int fd)
    __attribute__((warn_unused_result));
/* A line that is one descriptor and nothing else: 0 and that, claimed, or -1. */
int state_fields_parse_fd(struct state_fd_claims *claims, char *text,
    enum state_fd_kind kind, int *ret) __attribute__((warn_unused_result));
void state_fields_release(const struct state_fd_claims *claims);
/* Forgets who has claimed what; claims stay. */
void state_fields_claims_finish(struct state_fd_claims *claims);

#endif
