/*
 * whoami.h - what the server sees of a connection, as one line of JSON: the reply
 * "whoami" of yodeld, which yodel reads (--expect whoami). yodeld.json(5) has its
 * schema.
 */
#ifndef PROTO_WHOAMI_H
#define PROTO_WHOAMI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/address.h"
#include "net/proxy_header.h"
#include "net/tcp_info.h"
#include "net/tcp_syn.h"

#define WHOAMI_MAX 8192 /* bytes of a line, at most */
#define WHOAMI_INSTANCE_MAX 64

/* Outcome of the handshake; texts are "" if there is none. */
struct whoami_tls {
	const char *version, *suite, *group;
	const char *server_name, *alpn; /* that the client asked for; that was chosen */
	const char *subject;            /* of the client's certificate */
	bool is_resumed;
	bool is_verified; /* the client's certificate */
};

struct whoami {
	const char *instance;      /* name of the server */
	uint32_t slot, generation; /* of the worker that answers */
	uint64_t connection; /* number among those that its first worker accepted */
	uint32_t first_slot, first_generation; /* of that worker */
	uint64_t age_us;
	struct address client;            /* of the PROXY header, or the peer */
	struct address peer, local;       /* of the socket */
	int incoming_cpu;                 /* -1: unknown */
	const struct proxy_header *proxy; /* NULL: none, or not known any more */
	const struct tcp_syn *syn;        /* NULL: unknown */
	const struct tcp_info_view *tcp;  /* NULL: unknown */
	bool has_mptcp;                   /* it was accepted at an MPTCP listener */
	uint32_t subflows;                /* then; 0: it is one of plain TCP */
	const struct whoami_tls *tls;     /* NULL: without, or not known any more */
};

/* Contents of a line, for a client. */
struct whoami_view {
	char instance[WHOAMI_INSTANCE_MAX + 1];
	struct address_compact client;
	bool has_header; /* a PROXY header announced `source` */
	struct address_compact source;
};

/* Reads a line without its end, of any origin; other members are ignored. False with
 * *ret untouched if it is not an object with instance and client. */
bool whoami_read(const char *line, size_t length, struct whoami_view *ret)
    __attribute__((warn_unused_result));

/* Writes the line without its end into out[WHOAMI_MAX]; its bytes. */
size_t whoami_write(const struct whoami *whoami, char *out);

#endif
