/*
 * room.h - have fewer workers room for the open connections of all?
 */
#ifndef MASTER_CHANGES_ROOM_H
#define MASTER_CHANGES_ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "master/workers/worker_table.h"

/* True if all open connections fit into `count` workers with that configuration. Else
 * one line in text[size]: how many would be closed, and the room. */
bool room_suffices(const struct worker_table *workers, const struct config *config,
    uint32_t count, char *text, size_t size);

#endif
