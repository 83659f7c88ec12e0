/*
 * tls_plan.h - TLS of a run: the options become a context of OpenSSL, certificates of
 * the client and the name that each target must have. The load processes inherit them.
 */
#ifndef CLIENT_PLAN_TLS_PLAN_H
#define CLIENT_PLAN_TLS_PLAN_H

#include "net/tls/tls_context.h"
#include "client/plan/plan.h"
#include "client/plan/tls_key_log.h"

#define TLS_PLAN_ALPN_MAX 16 /* protocols */
#define TLS_PLAN_IDENTITIES_MAX 10000
/* In --tls-cert and --tls-key: the number of the connection. The files from 0 up to the
 * first that is missing are loaded; connection i uses i modulo their number. */
#define TLS_PLAN_PLACEHOLDER "{connection}"

struct tls_plan {
	struct tls_context *context;
	struct tls_identity **identities; /* of a pattern; else the context has it */
	size_t identity_count;
	char *names[PLAN_TARGETS_MAX]; /* of the targets; "": none is known */
	char *alpn_text;               /* the list, cut into its names */
	const char *alpn[TLS_PLAN_ALPN_MAX];
	size_t alpn_count;
	struct tls_key_log *key_log; /* NULL: none */
};

/* Checks the options, loads the files and fills plan->tls_plan and
 * plan->tls_verification. 0, or 64 with one line in error[PLAN_ERROR_MAX]. */
int tls_plan_check(struct plan *plan, char *error) __attribute__((warn_unused_result));
void tls_plan_finish(struct plan *plan);

/* The name that is requested from a target and verified; NULL: none. */
const char *tls_plan_name(const struct plan *plan, uint32_t target);

/* The certificate of a connection; NULL: that of the context, or none. */
struct tls_identity *tls_plan_identity(const struct plan *plan, uint64_t connection);
/* Connections whose numbers differ by a multiple of this have the same certificate. */
uint32_t tls_plan_identities(const struct plan *plan);

/* Lines of --tls-keylog that could not be written so far, in all processes. */
uint64_t tls_plan_lost_keys(const struct plan *plan);
/* If there are any: says so on stderr, once for all, and returns EX_OSERR; else 0. */
int tls_plan_check_key_log(const struct plan *plan);

#endif
