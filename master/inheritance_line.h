/*
 * inheritance_line.h - what stands in a line of an inheritance (inheritance.h): numbers
 * within their bounds, and descriptors that the exec has left open.
 *
 * A descriptor is claimed by the one line that names it: it exists, is of the kind that
 * the line means, and is not closed on exec, as only what was left to us is. From then
 * on it is, so that no other line can have it. If the whole cannot be read all claims
 * are given back, for the program that left this.
 */
#ifndef MASTER_INHERITANCE_LINE_H
#define MASTER_INHERITANCE_LINE_H

#include <limits.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/ledger.h"

struct inheritance_number {
	int64_t min, max;
};

#define INHERITANCE_FLAG                                                               \
	{                                                                              \
		0, 1                                                                   \
	}
#define INHERITANCE_FD                                                                 \
	{                                                                              \
		0, INT_MAX                                                             \
	}
#define INHERITANCE_COUNT                                                              \
	{                                                                              \
		0, INT64_MAX                                                           \
	}
#define INHERITANCE_ID                                                                 \
	{                                                                              \
		0, UINT32_MAX                                                          \
	}
#define INHERITANCE_SLOT                                                               \
	{                                                                              \
		0, LEDGER_SLOTS - 1                                                    \
	}

enum inheritance_kind {
	INHERITANCE_FILE,
	INHERITANCE_LISTENER,   /* a listening stream socket */
	INHERITANCE_CONNECTION, /* another stream socket */
	INHERITANCE_CHANNEL,    /* of SOCK_SEQPACKET */
};

struct inheritance_claims {
	int *fds;
	size_t count;
};

/* A line's numbers as rows[count] want them, one space between two; none before the
 * first. What follows the last one and its space ("" at the end); NULL: not so. */
char *inheritance_take(char *text, const struct inheritance_number *rows, size_t count,
    int64_t *ret) __attribute__((warn_unused_result));

/* The same where nothing may follow. 0, or -1. */
int inheritance_take_all(char *text, const struct inheritance_number *rows,
    size_t count, int64_t *ret) __attribute__((warn_unused_result));
int inheritance_take_one(char *text, int64_t min, int64_t max, int64_t *ret)
    __attribute__((warn_unused_result));

/* 0, or -1 with errno. */
int inheritance_claim(struct inheritance_claims *claims, enum inheritance_kind kind,
    int fd) __attribute__((warn_unused_result));
/* A line that is one descriptor and nothing else: 0 and that, claimed, or -1. */
int inheritance_take_fd(struct inheritance_claims *claims, char *text,
    enum inheritance_kind kind, int *ret) __attribute__((warn_unused_result));
void inheritance_give_back(const struct inheritance_claims *claims);
/* Forgets who has claimed what; claims stay. */
void inheritance_claims_finish(struct inheritance_claims *claims);

#endif
