/*
 * listener_set.h - the listeners of the current configuration, and of a planned one:
 * listeners that stay, are opened, or are removed. Until the commit nothing that serves
 * is touched.
 */
#ifndef MASTER_LISTENERS_LISTENER_SET_H
#define MASTER_LISTENERS_LISTENER_SET_H

#include <stdbool.h>
#include <stdint.h>

#include "master/listeners/listener.h"

struct listener_set {
	struct listener *first;
	/* Overflows of the network namespace that were considered, and those of the
	 * last interval for which no drop was found yet. */
	uint64_t counted_overflows, carried_overflows;
};

/* Opens what `config` has and the set has not, for all its workers. 0, or -1 with one
 * line in error[CONFIG_ERROR_MAX]; then listener_set_discard is due. */
int listener_set_plan(struct listener_set *set, const struct config *config,
    char *error) __attribute__((warn_unused_result));
/* Closes what was opened for the planned configuration, or for a change of size that
 * has failed: new listeners, and the sockets of slots with is_unused[slot], which have
 * received no connection (reuseport_freeze). */
void listener_set_discard(struct listener_set *set, const bool *is_unused);
/* The planned configuration, `config`, is the current one now. Removed listeners get no
 * new connections; draining workers empty them. */
void listener_set_commit(struct listener_set *set, const struct config *config);
/* Listens on what was bound beside other sockets (LISTEN_OVERLAP), or in their place
 * (LISTEN_SAME). listener_set_commit has done the former; the latter is due when all
 * sockets of the former configuration are retired, also those of admin.address. */
void listener_set_listen(const struct listener_set *set, const struct config *config,
    enum listen_overlap overlap);
/* Listens again on sockets that a process has shut down, and logs it. Returns whether
 * there were any. */
bool listener_set_revive(const struct listener_set *set, const struct config *config);

/* Adds to listener->overflows the drops since the last call that can be overflows. The
 * kernel counts overflows for the namespace, and drops for each socket, among them
 * handshakes that clients have aborted: of the drops of an interval at most as many
 * count as there were overflows in it. So without an overflow none counts, and none
 * counts twice; when clients abort handshakes with one listener in the interval in
 * which another one, or another program's socket, overflows, it may count at the wrong
 * one. */
void listener_set_count_overflows(struct listener_set *set);
/* Makes each of the drops the share that are overflows, if there were `available` of
 * them: in proportion, in sum no more. Returns the sum. */
uint64_t listener_set_share_overflows(
    uint64_t *drops, size_t count, uint64_t available);
/* All drops until now are none of them. */
void listener_set_start_overflows(struct listener_set *set);

/* The number of workers needed to serve every passed socket. */
uint32_t listener_set_min_workers(const struct listener_set *set);

#endif
