#include "master/listeners/certificates.h"

#include <stddef.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/printable.h"
#include "net/tls/tls_context.h"

#define DAY_S INT64_C(86400)
#define INTERVAL_S 3600

void
certificates_visit(
    const struct config *config, certificates_visitor visit, void *argument)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct listener_config *listener = &config->listeners[i];
		const struct tls_context *context = listener->tls.context;
		size_t count =
		    context == NULL ? 0 : tls_context_certificate_count(context);
		for (size_t k = 0; k < count; k++) {
			const char *name;
			const struct tls_certificate *certificate =
			    tls_context_certificate(context, k, &name);
			visit(listener, certificate, name, argument);
		}
	}
}

struct period {
	int64_t from_s, to_s;
};

static void
log_expiry(const struct listener_config *listener,
    const struct tls_certificate *certificate, int64_t now_s)
{
	char date[TLS_DATE_TEXT];
	tls_date_format(certificate->not_after, date);
	if (certificate->not_after <= now_s)
		log_warnx("[certificate_expired listener subject date] "
			  "certificate: %s: %s expired on %s (fix: renew it, reload)",
		    listener->address_text, certificate->subject, date);
	else
		log_warnx("[certificate_expires listener subject date days] "
			  "certificate: %s: %s expires on %s, in %lld days "
			  "(fix: renew it, reload)",
		    listener->address_text, certificate->subject, date,
		    (long long)((certificate->not_after - now_s) / DAY_S));
}

static void
check_one(const struct listener_config *listener,
    const struct tls_certificate *certificate, const char *name, void *argument)
{
	const struct period *period = argument;
	const int64_t first = listener->tls.expiry_warning_days;
	const int64_t days[] = { 0, 1, 7, first };
	(void)name;
	for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
		int64_t time_s = certificate->not_after - days[i] * DAY_S;
		if (days[i] > first || time_s <= period->from_s ||
		    time_s > period->to_s)
			continue;
		log_expiry(listener, certificate, period->to_s);
		return;
	}
}

static void
warn_if_public(const struct listener_config *listener, const char *key)
{
	char about[160], tail[PRINTABLE_TAIL_MAX];
	if (key == NULL || !tls_file_is_public(key))
		return;
	log_warnx("[key_is_public listener key about] "
		  "%s: every user of this host can read the key %s (%s) "
		  "(fix: chmod o-r, and a new key if others had access)",
	    listener->address_text, printable_tail(key, tail, sizeof(tail)),
	    tls_file_describe(key, about, sizeof(about)));
}

void
certificates_warn_of_public_keys(const struct listener_config *listener)
{
	const struct tls_listener_config *tls = &listener->tls;
	warn_if_public(listener, tls->key);
	for (size_t i = 0; i < tls->sni_count; i++)
		warn_if_public(listener, tls->sni[i].key);
}

void
certificates_check(const struct config *config, int64_t *checked_s)
{
	struct period period = { *checked_s,
		(int64_t)(clock_realtime_ns() / NS_PER_S) };
	int64_t passed_s = period.to_s - period.from_s;
	if (period.from_s != 0 && passed_s >= 0 && passed_s < INTERVAL_S)
		return;
	for (size_t i = 0; i < config->listener_count && period.from_s == 0; i++)
		certificates_warn_of_public_keys(&config->listeners[i]);
	*checked_s = period.to_s;
	certificates_visit(config, check_one, &period);
}
