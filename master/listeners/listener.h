/*
 * listener.h - one address that yodeld listens on, and its SO_REUSEPORT sockets: one
 * for each slot, opened and kept by the master, so that the exit of a worker closes no
 * accept queue.
 *
 * A group of sockets belongs to one master (net/listen.h). Unix sockets have no groups
 * (socket(7)): all slots share one socket and its queue.
 */
#ifndef MASTER_LISTENERS_LISTENER_H
#define MASTER_LISTENERS_LISTENER_H

#include <stdbool.h>
#include <stdint.h>

#include "net/listen_overlap.h"
#include "net/unix_socket.h"
#include "proto/ledger.h"
#include "conf/config.h"

struct listener {
	struct listener *next;
	char *name;                /* the address as configured; owned */
	struct address configured; /* the same */
	struct address address;    /* as bound: the port is known */
	int config_index;          /* in the configuration; -1: removed from it */
	int next_config_index;     /* in the planned one; -1: not in it */
	int previous_config_index; /* of a removed one: in the previous one; else -1 */
	bool is_new;               /* opened for the planned configuration */
	bool is_from_manager;      /* of a .socket unit (socket_activation.h) */
	uint32_t passed_sockets;   /* then: their number, each must be served */
	char *
	    stored_name; /* of a socket of the previous instance, in the store; owned */
	bool is_of_previous; /* of the previous instance, or in place of its sockets */
	/* Overlap of its sockets with other own ones when they were bound; unless
	 * LISTEN_NO_OVERLAP, they do not listen before listener_listen(). */
	enum listen_overlap overlap;
	struct file_id file;   /* of a Unix socket that this program has opened */
	bool is_order_unknown; /* of the group: no socket of it can be selected */
	bool is_stored[LEDGER_SLOTS]; /* the service manager has a copy */
	int fds[LEDGER_SLOTS];        /* by slot; -1: none */
	/* The slots in the order of the kernel's group (reuseport.c). */
	uint16_t reuseport_slots[LEDGER_SLOTS];
	uint32_t reuseport_count;
	uint64_t closed_socket_drops; /* of sockets that are closed now */
	/* Drops of connections that found a queue full (listener_set.h). */
	struct listener_overflows {
		uint64_t count;
		uint64_t counted_drops; /* drops that were considered for it */
	} overflows;
	bool has_program;    /* a BPF program selects the socket */
	uint64_t options_id; /* of the socket options that its sockets have */
};

/* Binds sockets for slots [0, slots) of a listener; they listen unless they overlap own
 * sockets (overlap). NULL with one line in error[CONFIG_ERROR_MAX] and errno. */
struct listener *listener_open(const struct listener_config *config, uint32_t slots,
    char *error) __attribute__((warn_unused_result));
/* A listener without sockets; NULL with ENOMEM. */
struct listener *listener_create(const char *name, const struct address *address);
/* Puts a listening socket into a slot (owned). */
void listener_set_socket(struct listener *listener, uint32_t slot, int fd);
/* Adds sockets so that slots [0, slots) have one. 0, or -1 with the error. */
int listener_add_sockets(struct listener *listener,
    const struct listener_config *config, uint32_t slots, char *error)
    __attribute__((warn_unused_result));
/* Whether listener_open() could succeed on this host, as far as it shows while the
 * address is in use. 0, or -1 with one line in error[CONFIG_ERROR_MAX]. */
int listener_check(const struct listener_config *config, char *error)
    __attribute__((warn_unused_result));
/* Sets backlog, nodelay and congestion of all sockets. */
void listener_apply_options(
    const struct listener *listener, const struct listener_config *config);
/* Closes the socket of one slot. Connections in its accept queue are reset. */
void listener_close_slot(struct listener *listener, uint32_t slot);
void listener_destroy(struct listener *listener);

/* Listens on sockets that were bound beside others. */
void listener_listen(struct listener *listener, const struct listener_config *config);
/* Its sockets get no new connections any more (net/listen.h); handshakes in progress go
 * on, and connections wait in the accept queues. */
void listener_retire(const struct listener *listener);
/* As listener_retire(), for one slot, unless other slots share its socket. */
void listener_retire_slot(const struct listener *listener, uint32_t slot);
/* Removes filters that the workers of a killed master have left. */
void listener_accept_new(const struct listener *listener);
/* Listens again on sockets that a process has shut down. Returns how many. */
uint32_t listener_revive(
    struct listener *listener, const struct listener_config *config);

uint32_t listener_socket_count(const struct listener *listener);
/* Equal for equal socket options. They are set before bind(2): other ones need other
 * sockets. */
uint64_t listener_options_id(const struct listener_config *config);
/* False if the file of its Unix socket has been removed or replaced. */
bool listener_is_reachable(const struct listener *listener);
/* Connections that the kernel has dropped on all of its sockets (socket_info.h). */
uint64_t listener_drops(const struct listener *listener);

#endif
