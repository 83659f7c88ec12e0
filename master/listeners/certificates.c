#include "master/listeners/certificates.h"

#include <stddef.h>

#include "lib/clock.h"
#include "lib/log.h"
#include "lib/printable.h"
#include "net/tls/tls_context.h"
#include "net/tls/tls_usable.h"

#define DAY_S INT64_C(86400)
#define INTERVAL_S 3600

/* As it is bound, where it is open, into text[ADDRESS_TEXT_MAX] or the configuration's.
 */
static const char *
address_of(
    const struct config *config, const struct listener_set *set, size_t i, char *text)
{
	const struct listener *open = set == NULL ? NULL : set->first;
	while (open != NULL && open->config_index != (int)i)
		open = open->next;
	return open == NULL ? config->listeners[i].address_text
			    : address_format(&open->address, text);
}

void
certificates_visit(const struct config *config, const struct listener_set *set,
    certificates_visitor visit, void *argument)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		char address[ADDRESS_TEXT_MAX];
		struct listed_certificate listed = { .listener = &config->listeners[i],
			.address = address_of(config, set, i, address) };
		const struct tls_context *context = listed.listener->tls.context;
		size_t count =
		    context == NULL ? 0 : tls_context_certificate_count(context);
		for (; listed.index < count; listed.index++) {
			listed.certificate = tls_context_certificate(
			    context, listed.index, &listed.name);
			visit(&listed, argument);
		}
	}
}

struct period {
	int64_t from_s, to_s;
};

static void
log_expiry(const struct listed_certificate *listed, int64_t now_s)
{
	const struct tls_certificate *certificate = listed->certificate;
	int64_t days = (certificate->not_after - now_s + DAY_S / 2) / DAY_S;
	char date[TLS_DATE_TEXT];
	tls_date_format(certificate->not_after, date);
	if (certificate->not_after <= now_s)
		log_warnx("[certificate_expired listener subject date] "
			  "certificate: %s: %s expired on %s (fix: renew it, reload)",
		    listed->address, certificate->subject, date);
	else
		log_warnx("[certificate_expires listener subject date days _] "
			  "certificate: %s: %s expires on %s, in %lld day%s "
			  "(fix: renew it, reload)",
		    listed->address, certificate->subject, date, (long long)days,
		    days == 1 ? "" : "s");
}

static void
warn_of_expiry(const struct listed_certificate *listed, const struct period *period)
{
	const int64_t first = listed->listener->tls.expiry_warning_days;
	const int64_t days[] = { 0, 1, 7, first };
	for (size_t i = 0; i < sizeof(days) / sizeof(days[0]); i++) {
		int64_t time_s = listed->certificate->not_after - days[i] * DAY_S;
		if (days[i] > first || time_s <= period->from_s ||
		    time_s > period->to_s)
			continue;
		log_expiry(listed, period->to_s);
		return;
	}
}

/* Clients refuse it, or never get it. */
static void
warn_if_useless(const struct listed_certificate *listed, int64_t now_s)
{
	const struct tls_certificate *certificate = listed->certificate;
	char date[TLS_DATE_TEXT], text[TLS_FAULT_TEXT];
	const char *fault =
	    tls_usable_find_fault(listed->listener->tls.context, listed->index, text);
	if (fault != NULL)
		log_warnx("[certificate_unusable listener subject _ name reason] "
			  "certificate: %s: %s%s%s: %s",
		    listed->address, certificate->subject,
		    listed->name == NULL ? "" : ", for the name ",
		    listed->name == NULL ? "" : listed->name, fault);
	if (certificate->not_before > now_s)
		log_warnx("[certificate_not_valid_yet listener subject date] "
			  "certificate: %s: %s is not valid before %s (fix: check the "
			  "clock and the certificate)",
		    listed->address, certificate->subject,
		    tls_date_format(certificate->not_before, date));
}

static void
check_one(const struct listed_certificate *listed, void *argument)
{
	const struct period *period = argument;
	warn_of_expiry(listed, period);
	if (period->from_s == 0)
		warn_if_useless(listed, period->to_s);
}

static void
warn_if_public(const char *address, const char *key)
{
	char about[160], tail[PRINTABLE_TAIL_MAX];
	if (key == NULL || !tls_file_is_public(key))
		return;
	log_warnx("[key_is_public listener key about] "
		  "%s: every user of this host can read the key %s (%s) "
		  "(fix: chmod o-r, and a new key if others had access)",
	    address, printable_tail(key, tail, sizeof(tail)),
	    tls_file_describe(key, about, sizeof(about)));
}

static void
warn_of_public_keys(const struct config *config, const struct listener_set *set)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		const struct tls_listener_config *tls = &config->listeners[i].tls;
		char text[ADDRESS_TEXT_MAX];
		const char *address = address_of(config, set, i, text);
		warn_if_public(address, tls->key);
		for (size_t k = 0; k < tls->sni_count; k++)
			warn_if_public(address, tls->sni[k].key);
	}
}

void
certificates_check(
    const struct config *config, const struct listener_set *set, int64_t *checked_s)
{
	struct period period = { *checked_s,
		(int64_t)(clock_realtime_ns() / NS_PER_S) };
	int64_t passed_s = period.to_s - period.from_s;
	if (period.from_s != 0 && passed_s >= 0 && passed_s < INTERVAL_S)
		return;
	if (period.from_s == 0)
		warn_of_public_keys(config, set);
	*checked_s = period.to_s;
	certificates_visit(config, set, check_one, &period);
}
