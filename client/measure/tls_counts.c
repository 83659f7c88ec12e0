#include "client/measure/tls_counts.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

enum { FREE, BEING_WRITTEN, COMPLETE };

/* True if the caller may write the entry; false once it is complete. */
static bool
take(_Atomic uint32_t *state)
{
	uint32_t found = FREE;
	if (atomic_compare_exchange_strong(state, &found, BEING_WRITTEN))
		return true;
	/* Another process needs a few instructions for that. */
	while (atomic_load(state) == BEING_WRITTEN)
		sched_yield();
	return false;
}

void
tls_counts_add(struct control_block *control_block, struct counters *counters,
    enum counters_tls_kind kind, const char *text)
{
	char cut[COUNTERS_TLS_TEXT_MAX];
	snprintf(cut, sizeof(cut), "%s", text);
	for (int i = 0; i < COUNTERS_TLS_TEXTS_MAX; i++) {
		struct counters_tls_text *entry = &control_block->tls_texts[i];
		if (take(&entry->state)) {
			entry->kind = kind;
			memcpy(entry->text, cut, sizeof(cut));
			atomic_store(&entry->state, COMPLETE);
		}
		if (entry->kind == kind && strcmp(entry->text, cut) == 0) {
			counters_add(&counters->tls_texts[i], 1);
			return;
		}
	}
}

static void
write_certificate(
    struct counters_certificate *entry, const struct counters_certificate *from)
{
	entry->target = from->target;
	entry->position = from->position;
	entry->not_before = from->not_before;
	entry->not_after = from->not_after;
	memcpy(entry->subject, from->subject, sizeof(entry->subject));
	memcpy(entry->issuer, from->issuer, sizeof(entry->issuer));
	memcpy(entry->names, from->names, sizeof(entry->names));
	memcpy(entry->key, from->key, sizeof(entry->key));
	memcpy(entry->sha256, from->sha256, sizeof(entry->sha256));
}

void
tls_counts_add_certificate(
    struct control_block *control_block, const struct counters_certificate *certificate)
{
	for (int i = 0; i < COUNTERS_CERTIFICATES_MAX; i++) {
		struct counters_certificate *entry = &control_block->certificates[i];
		if (take(&entry->state)) {
			write_certificate(entry, certificate);
			atomic_store(&entry->state, COMPLETE);
		}
		if (entry->target == certificate->target &&
		    strcmp(entry->sha256, certificate->sha256) == 0)
			return;
	}
}

size_t
tls_counts_texts(const struct control_block *control_block)
{
	size_t n = 0;
	while (n < COUNTERS_TLS_TEXTS_MAX &&
	    atomic_load(&control_block->tls_texts[n].state) == COMPLETE)
		n++;
	return n;
}

size_t
tls_counts_certificates(const struct control_block *control_block)
{
	size_t n = 0;
	while (n < COUNTERS_CERTIFICATES_MAX &&
	    atomic_load(&control_block->certificates[n].state) == COMPLETE)
		n++;
	return n;
}
