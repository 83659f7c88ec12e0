/* state_reader.h - what every part of an upgrade state is read with: a claim on each
 * descriptor that is named, numbers within bounds, texts. After an error reader->json
 * has failed. */
#ifndef MASTER_UPGRADE_STATE_READER_H
#define MASTER_UPGRADE_STATE_READER_H

#include <stddef.h>
#include <stdint.h>

#include "lib/json/json_reader.h"
#include "master/upgrade/state_save.h"

enum state_fd_kind {
	STATE_FD_FILE,
	STATE_FD_LISTENER,
	STATE_FD_CONNECTION,
	STATE_FD_CHANNEL,
	STATE_FD_PIPE,
};

struct state_reader {
	struct master *master;
	struct upgrade_state *ret;
	struct json_reader json;
	int *claimed_fds;
	size_t claimed_count;
	struct listener *listener; /* the last one; NULL: none yet */
};

/* Makes a descriptor close-on-exec, so that no other record can name it: what was saved
 * for this program is not. Returns it, or -1 after an error. */
int state_reader_claim(
    struct state_reader *reader, const char *where, enum state_fd_kind kind, int fd);
/* Takes all claims back: the descriptors survive an exec again. */
void state_reader_release_claims(const struct state_reader *reader);
void state_reader_finish(struct state_reader *reader);

/* A number up to `max`; 0 after an error. */
uint32_t state_reader_number(struct state_reader *reader, const json_t *from,
    const char *where, const char *key, uint32_t max);
/* A text, cut to the size; "" after an error. */
void state_reader_text(struct state_reader *reader, const json_t *from, const char *key,
    char *to, size_t size);

#endif
