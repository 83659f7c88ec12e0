/*
 * outages.h - periods without an answer, found by a load process (--hold): each one in
 * a few bytes of the memory that it shares with the parent. The first `room` of a
 * process are kept, the others counted.
 */
#ifndef CLIENT_MEASURE_OUTAGES_H
#define CLIENT_MEASURE_OUTAGES_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How a period ended. */
enum outage_end {
	OUTAGE_ANSWERED,     /* by an answer on the same connection */
	OUTAGE_RECONNECTED,  /* by one on the connection that replaced it */
	OUTAGE_OTHER_SERVER, /* likewise, of another server (--expect whoami) */
	OUTAGE_LOST,         /* the connection was lost and not replaced */
	OUTAGE_OPEN,         /* not before the end of the run */
	OUTAGE_END_COUNT
};
extern const char *const outages_end_names[]; /* NULL at the end */

/* A period whose begin is less certain than this, for the client was late, is inexact.
 */
#define OUTAGE_EXACT_NS UINT64_C(2000000)

struct outage {
	/* From the intended time of the first message whose answer was late to the
	 * arrival of its answer; CLOCK_MONOTONIC. */
	uint64_t begin_ns, end_ns;
	uint32_t connection; /* in all ranks */
	uint8_t end;         /* enum outage_end */
};

struct outages {
	_Atomic uint32_t count;  /* complete entries of `list` */
	_Atomic uint64_t missed; /* found when the list was full */
	_Atomic uint64_t inexact;
	_Atomic uint64_t doubtful;   /* inexact, and maybe not longer than the limit */
	_Atomic uint64_t own_max_ns; /* largest uncertainty */
	uint32_t room;
	struct outage list[];
};

/* Bytes of a list, a multiple of a page. */
size_t outages_bytes(uint32_t room);

void outages_add(struct outages *outages, const struct outage *outage);

/* The begin of a period is uncertain by `own_ns`. */
void outages_add_own(struct outages *outages, uint64_t own_ns, bool may_be_none);

#endif
