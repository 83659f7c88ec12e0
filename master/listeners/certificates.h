/*
 * certificates.h - the certificates of the listeners, and when they expire: the log
 * warns tls.expiry_warning_days, 7 and 1 days before, and when it has happened. It also
 * warns of one that clients cannot use.
 */
#ifndef MASTER_LISTENERS_CERTIFICATES_H
#define MASTER_LISTENERS_CERTIFICATES_H

#include <stdint.h>

#include "net/tls/tls_certificate.h"
#include "conf/config.h"
#include "master/listeners/listener_set.h"

/* Logs what has come nearer since *checked_s, in seconds since 1970, and sets that to
 * now. 0: everything is new, and keys and uses are looked at, too. At most once in an
 * hour, unless it is 0. The set tells which ports the kernel chose; NULL: none is open.
 */
void certificates_check(
    const struct config *config, const struct listener_set *set, int64_t *checked_s);

struct listed_certificate {
	const struct listener_config *listener;
	const char *address; /* of the listener, as bound */
	size_t index;        /* tls_context_certificate() */
	const struct tls_certificate *certificate;
	const char *name; /* that clients ask for; NULL: the listener's default one */
};

typedef void (*certificates_visitor)(
    const struct listed_certificate *listed, void *argument);
/* Calls visit for each certificate. */
void certificates_visit(const struct config *config, const struct listener_set *set,
    certificates_visitor visit, void *argument);

#endif
