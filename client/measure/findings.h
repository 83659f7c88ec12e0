/*
 * findings.h - what a load process found wrong, each finding in a few bytes: for the
 * comparison with the faults that a server says it has injected
 * (client/result/explain.h). The first FINDINGS_MAX are kept, the others counted.
 */
#ifndef CLIENT_MEASURE_FINDINGS_H
#define CLIENT_MEASURE_FINDINGS_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "net/address.h"

#define FINDINGS_MAX 16384 /* of a process */

enum finding_kind {
	FINDING_DAMAGE, /* wrong, missing or extra bytes of answers */
	/* A connection was lost, perhaps with messages in flight: */
	FINDING_TIMEOUT, /* the peer was silent for too long */
	FINDING_CLOSED,  /* the peer closed it */
	FINDING_RESET,   /* the peer reset it */
	/* It was never established: */
	FINDING_CONNECT_TIMEOUT,
	FINDING_CONNECT_RESET,
};

#define FINDING_NO_END UINT64_MAX

/* Messages and bytes of answers count from the start of the connection, as a server
 * counts them: from 0. */
struct finding {
	uint64_t at_ns;        /* CLOCK_REALTIME */
	uint64_t connected_ns; /* the same: when it began to connect */
	uint64_t connection;   /* number over all ranks */
	/* The answers that it concerns; the last two are FINDING_NO_END if that is not
	 * known. Of a lost connection: those that were outstanding. */
	uint64_t message, last_message;
	uint64_t offset, end; /* bytes of correct answers before them, and with them */
	uint64_t waited_ns;   /* of a timeout: for the oldest outstanding answer */
	uint64_t missing_bytes;           /* FINDING_DAMAGE: that were expected there */
	uint64_t extra_bytes;             /* FINDING_DAMAGE: that came in their place */
	struct address_compact local;     /* of the socket */
	struct address_compact announced; /* that the server sees; set by the parent */
	uint8_t kind;                     /* enum finding_kind */
};

/* Which client a load process is: the ports and the addresses of its sockets. */
#define FINDINGS_ADDRESSES_MAX 8
struct findings_clients {
	uint64_t ports[65536 / 64]; /* bits: used as a source port */
	struct address_compact addresses[FINDINGS_ADDRESSES_MAX]; /* port 0 */
	uint32_t address_count; /* more than fit: any address */
};

struct findings {
	_Atomic uint32_t count;  /* complete entries of `list` */
	_Atomic uint64_t missed; /* found when the list was full */
	struct findings_clients clients;
	struct finding list[FINDINGS_MAX];
};

/* Adds a finding of the connection with this socket, whose connected_ns is still of
 * CLOCK_MONOTONIC; sets its `local` and `at_ns`. NULL findings: nothing is recorded. */
void findings_add(struct findings *findings, const struct finding *finding, int fd);

/* Notes the local address of a socket that starts to connect. */
void findings_add_client(struct findings *findings, int fd);
/* Adds those of another process. */
void findings_merge_clients(
    struct findings_clients *to, const struct findings_clients *from);
/* True if a socket of the process had this address and port. */
bool findings_has_client(
    const struct findings_clients *clients, const struct address_compact *client);

#endif
