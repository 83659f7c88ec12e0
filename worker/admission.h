/*
 * admission.h - accepts or refuses a new connection: allow and deny lists, limits,
 * connections from the server to itself.
 *
 * A refused connection costs its handshake, one accept and one reset.
 */
#ifndef WORKER_ADMISSION_H
#define WORKER_ADMISSION_H

#include <stdbool.h>

#include "net/address.h"
#include "proto/close_reason.h"

struct listener_config;
struct worker_listener;
struct worker;

/* Creates the table of address limits if a listener has some, with an entry for each
 * connection that the worker can have. 0, or -1 with errno. */
int admission_start(struct worker *worker) __attribute__((warn_unused_result));
void admission_stop(struct worker *worker);

/* The reason to refuse a connection at such a listener for the address of its socket's
 * peer, or CLOSE_NONE: the allow and deny lists, or proxy_from; at a Unix socket the
 * users and groups that may connect. */
enum close_reason admission_check_peer(
    const struct listener_config *config, int fd, const struct address *peer);

/* CLOSE_NONE if the accepted connection is allowed, or the reason to refuse it. */
enum close_reason admission_check(const struct worker_listener *listener, int fd,
    const struct address *peer) __attribute__((warn_unused_result));

/* As admission_check(), for the address that a PROXY header has announced; is_counted:
 * it has been allowed before, and counts once for accept_rate. */
enum close_reason admission_check_announced(const struct worker_listener *listener,
    const struct address_compact *peer, bool is_counted)
    __attribute__((warn_unused_result));

/* Counts the reason and resets the connection, which leaves no state in the kernel. */
void admission_refuse(const struct worker_listener *listener, int fd,
    const struct address *peer, enum close_reason reason);

#endif
