/*
 * findings.h - what a load process found wrong, each finding in a few bytes: for the
 * comparison with the faults that a server says it has injected
 * (client/result/explain.h). The first FINDINGS_MAX are kept, the others counted.
 */
#ifndef CLIENT_MEASURE_FINDINGS_H
#define CLIENT_MEASURE_FINDINGS_H

#include <stdatomic.h>
#include <stdint.h>

#include "net/address.h"

#define FINDINGS_MAX 16384 /* of a process */

enum finding_kind {
	FINDING_DAMAGE, /* wrong, missing or extra bytes of answers */
	/* A connection was lost, perhaps with messages in flight: */
	FINDING_TIMEOUT, /* the peer was silent for too long */
	FINDING_ENDED,   /* the peer closed or reset it */
};

struct finding {
	uint64_t at_ns;   /* CLOCK_REALTIME */
	uint64_t message; /* of the connection, from 0: the first one it concerns */
	uint64_t offset;  /* FINDING_DAMAGE: bytes of correct answers before it */
	struct address_compact local;
	uint8_t kind; /* enum finding_kind */
};

struct findings {
	_Atomic uint32_t count;  /* complete entries of `list` */
	_Atomic uint64_t missed; /* found when the list was full */
	struct finding list[FINDINGS_MAX];
};

/* fd: of the connection. NULL findings: nothing is recorded. */
void findings_add(struct findings *findings, enum finding_kind kind, int fd,
    uint64_t message, uint64_t offset);

#endif
