/*
 * certificates.h - the certificates of the listeners, and when they expire: the log
 * warns tls.expiry_warning_days, 7 and 1 days before, and when it has happened.
 */
#ifndef MASTER_LISTENERS_CERTIFICATES_H
#define MASTER_LISTENERS_CERTIFICATES_H

#include <stdint.h>

#include "net/tls/tls_certificate.h"
#include "conf/config.h"

/* Logs what has come nearer since *checked_s, in seconds since 1970, and sets that to
 * now. 0: everything is new, and keys are looked at, too. At most once in an hour,
 * unless it is 0. */
void certificates_check(const struct config *config, int64_t *checked_s);

/* Logs which key files of a listener every user of the host can read. */
void certificates_warn_of_public_keys(const struct listener_config *listener);

/* `name` that clients ask for; NULL: it is the listener's default certificate. */
typedef void (*certificates_visitor)(const struct listener_config *listener,
    const struct tls_certificate *certificate, const char *name, void *argument);
/* Calls visit for each certificate. */
void certificates_visit(
    const struct config *config, certificates_visitor visit, void *argument);

#endif
