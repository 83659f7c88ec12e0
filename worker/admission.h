/*
 * admission.h - who may come in: lists, limits, and no other end of ourselves.
 *
 * What a refused peer costs is its handshake, one accept and one reset.
 */
#ifndef WORKER_ADMISSION_H
#define WORKER_ADMISSION_H

#include "net/address.h"

#include "proto/close_reason.h"

struct listener;
struct worker;

/* Makes the table of visitors when a listener needs it, with a place for each
 * connection that the worker can have. 0, or -1 with errno. */
int admission_start(struct worker *worker) __attribute__((warn_unused_result));
void admission_stop(struct worker *worker);

/* CLOSE_REASON_COUNT: the peer of the accepted socket may stay. Or the reason to refuse
 * it. */
enum close_reason admission_check(const struct listener *listener, int fd,
    const struct address *peer) __attribute__((warn_unused_result));

/* Counts the reason and resets the connection: no state of it stays, here or in the
 * kernel. */
void admission_refuse(const struct listener *listener, int fd,
    const struct address *peer, enum close_reason reason);

#endif
