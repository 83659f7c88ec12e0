#include "client/commands/talk_tls.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/xmalloc.h"
#include "client/plan/tls_plan.h"

static void
print_facts(const struct plan *plan, const struct tls_handshake *handshake)
{
	struct tls_facts facts;
	struct tls_certificate certificate;
	char date[TLS_DATE_TEXT], sha256[TLS_SHA256_TEXT];
	tls_handshake_facts(handshake, &facts);
	fprintf(stderr, "%s, %s, %s%s%s\n", tls_version_name(facts.version),
	    facts.suite, facts.group, facts.alpn[0] != '\0' ? ", ALPN " : "",
	    facts.alpn);
	for (size_t i = 0; tls_handshake_certificate(handshake, i, &certificate); i++)
		fprintf(stderr,
		    "%s: %s; for %s; issued by %s; %s; valid until %s; SHA-256 %s\n",
		    i == 0 ? "certificate" : "chain", certificate.subject,
		    certificate.names[0] != '\0' ? certificate.names : "no name",
		    certificate.issuer, certificate.key,
		    tls_date_format(certificate.not_after, date),
		    tls_sha256_format(certificate.sha256, sha256));
	if (plan->tls_insecure)
		fputs("NOT VERIFIED: --tls-insecure accepts any certificate\n", stderr);
	else
		fprintf(stderr, "verified: %s\n", plan->tls_verification);
}

/* Waits for the socket. False at the deadline. */
static bool
wait_for(const struct tls_stream *stream, int fd, uint64_t deadline_ns)
{
	struct pollfd wait = { .fd = fd, .events = POLLIN };
	uint64_t now_ns = clock_now_ns();
	if (tls_stream_has_output(stream))
		wait.events |= POLLOUT;
	if (now_ns >= deadline_ns)
		return false;
	uint64_t ms = (deadline_ns - now_ns) / NS_PER_MS + 1;
	(void)poll(&wait, 1, ms < INT_MAX ? (int)ms : INT_MAX);
	return true;
}

/* False after one line on stderr. */
static bool
shake(const struct plan *plan, struct tls_stream *stream, int fd, uint64_t deadline_ns)
{
	struct tls_failure_facts failure;
	enum tls_stream_status status;
	const char *target = plan->targets[0].text;
	while ((status = tls_stream_shake(stream, fd)) == TLS_STREAM_WAIT) {
		if (wait_for(stream, fd, deadline_ns))
			continue;
		log_errorx("%s: no answer in the TLS handshake", target);
		return false;
	}
	if (status == TLS_STREAM_READY) {
		print_facts(plan, stream->handshake);
		tls_stream_settle(stream);
		return true;
	}
	tls_handshake_failure(stream->handshake, &failure);
	log_errorx("%s: TLS handshake failed: %s", target, failure.reason);
	return false;
}

struct talk_tls *
talk_tls_open(const struct plan *plan, int fd, uint64_t timeout_ns)
{
	struct talk_tls *tls = xcalloc(1, sizeof(*tls));
	bool is_offered;
	struct tls_stream_args args = {
		.pool = &tls->pool,
		.context = plan->tls_plan->context,
		.name = tls_plan_name(plan, 0),
		.identity = tls_plan_identity(plan, 0),
	};
	tls_pool_init(&tls->pool, &tls->counts, 1, TLS_POOL_TICKETS_MAX);
	tls->stream = tls_stream_create(&args, &is_offered);
	if (shake(plan, tls->stream, fd, clock_now_ns() + timeout_ns))
		return tls;
	talk_tls_close(tls);
	return NULL;
}

void
talk_tls_close(struct talk_tls *tls)
{
	if (tls == NULL)
		return;
	tls_stream_destroy(tls->stream);
	tls_pool_finish(&tls->pool);
	free(tls);
}

void
talk_tls_log_error(const struct talk_tls *tls, const char *target)
{
	if (tls->stream->end == TLS_STREAM_ALERT)
		log_errorx("%s: the peer sent the alert %s", target,
		    tls_alert_name(tls->stream->alert));
	else if (tls->stream->end == TLS_STREAM_BAD)
		log_errorx(
		    "%s: bad record from the peer: %s", target, tls->stream->reason);
	else
		log_error("%s", target);
}
