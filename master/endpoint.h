/*
 * endpoint.h - one address that yodeld listens on, and its SO_REUSEPORT sockets: one
 * for each slot, bound and kept by the master, so that a worker's death closes no
 * accept queue.
 *
 * A group of sockets belongs to one master: the first one is bound without
 * SO_REUSEPORT, which fails loudly where another process has the address, also where
 * that process is a second yodeld of the same user (socket(7) would let it join in
 * silence).
 */
#ifndef MASTER_ENDPOINT_H
#define MASTER_ENDPOINT_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/ledger.h"

#include "conf/config.h"

struct endpoint {
	struct endpoint *next;
	char *name;                /* the address as configured; owned */
	struct address configured; /* the same */
	struct address address;    /* as bound: the port is known */
	int listener; /* its number in the configuration; -1: not in it (any more) */
	int next_listener;   /* its number in the one that a turnover brings; -1: not in
				it */
	int former_listener; /* removed: its number in the configuration before */
	bool is_new;         /* bound for the configuration to come */
	bool is_passed;      /* made by the service manager (activation.c) */
	uint32_t passed;     /* so many sockets it passed: each must be served */
	bool is_order_unknown; /* of its group: the sockets were made elsewhere */
	bool is_stored[LEDGER_SLOTS]; /* the service manager keeps it over a restart */
	int fds[LEDGER_SLOTS];        /* by slot; -1: none */
	/* The group as the kernel has it: slots by index (group.c). */
	uint16_t group[LEDGER_SLOTS];
	uint32_t group_count;
	uint64_t drops_closed; /* of its sockets that are closed (kernel.h) */
	bool is_steered;       /* a program picks among the group's sockets */
};

/* Binds sockets for slots [0, slots) of a listener. NULL with one line in
 * error[CONFIG_ERROR_MAX] and errno. */
struct endpoint *endpoint_open(const struct listener_config *config, uint32_t slots,
    char *error) __attribute__((warn_unused_result));
/* An endpoint without sockets; NULL with ENOMEM. */
struct endpoint *endpoint_create(const char *name, const struct address *address);
/* Puts a listening socket into a slot (owned). */
void endpoint_put(struct endpoint *endpoint, uint32_t slot, int fd);
/* Adds sockets so that slots [0, slots) have one. 0, or -1 with the error. */
int endpoint_grow(struct endpoint *endpoint, const struct listener_config *config,
    uint32_t slots, char *error) __attribute__((warn_unused_result));
/* Whether the kernel would let endpoint_adjust make what the configuration says. 0, or
 * -1 with one line in error[CONFIG_ERROR_MAX]. */
int endpoint_try(const struct listener_config *config, char *error)
    __attribute__((warn_unused_result));
/* Makes backlog, nodelay and congestion what the configuration says now. */
void endpoint_adjust(
    const struct endpoint *endpoint, const struct listener_config *config);
/* Closes the socket of one slot. What waits in its queue is reset: empty it first. */
void endpoint_close_slot(struct endpoint *endpoint, uint32_t slot);
void endpoint_destroy(struct endpoint *endpoint);

/* The kernel lets no new connection begin on any of the endpoint's sockets; handshakes
 * under way end as usual. For before its queues are emptied. endpoint_welcome undoes
 * it. */
void endpoint_turn_away(const struct endpoint *endpoint);
/* The same for one slot's alone; nothing where others share it. */
void endpoint_turn_away_slot(const struct endpoint *endpoint, uint32_t slot);
void endpoint_welcome(const struct endpoint *endpoint);
void endpoint_welcome_slot(const struct endpoint *endpoint, uint32_t slot);

uint32_t endpoint_sockets(const struct endpoint *endpoint);
/* What the kernel has dropped on all of its sockets (kernel.h). */
uint64_t endpoint_drops(const struct endpoint *endpoint);

#endif
