/*
 * listener.h - one address that yodeld listens on, and its SO_REUSEPORT sockets: one
 * for each slot, bound and kept by the master, so that a worker's death closes no
 * accept queue.
 *
 * A group of sockets belongs to one master (net/listen.h).
 */
#ifndef MASTER_LISTENERS_LISTENER_H
#define MASTER_LISTENERS_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "proto/ledger.h"

#include "conf/config.h"

struct listener {
	struct listener *next;
	char *name;                /* the address as configured; owned */
	struct address configured; /* the same */
	struct address address;    /* as bound: the port is known */
	int config_index; /* its number in the configuration; -1: not in it (any more)
			   */
	int next_config_index; /* its number in the one that a turnover brings; -1: not
			      in it */
	int previous_config_index; /* removed: its number in the configuration before */
	bool is_new;               /* bound for the configuration to come */
	bool is_from_manager;    /* made by the service manager (socket_activation.c) */
	uint32_t passed_sockets; /* so many sockets it passed: each must be served */
	bool is_order_unknown;   /* of its group: the sockets were made elsewhere */
	bool is_stored[LEDGER_SLOTS]; /* the service manager keeps it over a restart */
	int fds[LEDGER_SLOTS];        /* by slot; -1: none */
	/* The group as the kernel has it: slots by index (reuseport.c). */
	uint16_t reuseport_slots[LEDGER_SLOTS];
	uint32_t reuseport_count;
	uint64_t
	    closed_socket_drops; /* of its sockets that are closed (socket_info.h) */
	bool has_program;        /* a program picks among the group's sockets */
};

/* Binds sockets for slots [0, slots) of a listener. NULL with one line in
 * error[CONFIG_ERROR_MAX] and errno. */
struct listener *listener_open(const struct listener_config *config, uint32_t slots,
    char *error) __attribute__((warn_unused_result));
/* An endpoint without sockets; NULL with ENOMEM. */
struct listener *listener_create(const char *name, const struct address *address);
/* Puts a listening socket into a slot (owned). */
void listener_set_socket(struct listener *listener, uint32_t slot, int fd);
/* Adds sockets so that slots [0, slots) have one. 0, or -1 with the error. */
int listener_add_sockets(struct listener *listener,
    const struct listener_config *config, uint32_t slots, char *error)
    __attribute__((warn_unused_result));
/* Whether the kernel would let listener_apply_options make what the configuration says.
 * 0, or -1 with one line in error[CONFIG_ERROR_MAX]. */
int listener_check_options(const struct listener_config *config, char *error)
    __attribute__((warn_unused_result));
/* Makes backlog, nodelay and congestion what the configuration says now. */
void listener_apply_options(
    const struct listener *listener, const struct listener_config *config);
/* Closes the socket of one slot. What waits in its queue is reset: empty it first. */
void listener_close_slot(struct listener *listener, uint32_t slot);
void listener_destroy(struct listener *listener);

/* The kernel lets no new connection begin on any of the endpoint's sockets; handshakes
 * under way end as usual. For before its queues are emptied. listener_accept_new undoes
 * it. */
void listener_block_new(const struct listener *listener);
/* The same for one slot's alone; nothing where others share it. */
void listener_block_new_slot(const struct listener *listener, uint32_t slot);
void listener_accept_new(const struct listener *listener);
void listener_accept_new_slot(const struct listener *listener, uint32_t slot);

uint32_t listener_socket_count(const struct listener *listener);
/* What the kernel has dropped on all of its sockets (socket_info.h). */
uint64_t listener_drops(const struct listener *listener);

#endif
