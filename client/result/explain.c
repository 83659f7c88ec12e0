#include "client/result/explain.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/json/json_load.h"
#include "lib/printable.h"
#include "lib/xmalloc.h"
#include "client/measure/findings.h"

/* A damage may be placed some bytes before the first wrong one, where both explain what
 * was received (client/verify/damage.h). */
#define PLACE_SLACK 8

static bool
read_count(const json_t *from, const char *key, uint64_t *ret)
{
	const json_t *value = json_object_get(from, key);
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*ret = (uint64_t)json_integer_value(value);
	return true;
}

static bool
read_fault(const json_t *from, struct explain_fault *ret)
{
	const char *kind = json_string_value(json_object_get(from, "kind"));
	const char *client = json_string_value(json_object_get(from, "client"));
	struct address address;
	char error[256];
	*ret = (struct explain_fault){ .kind = FAULT_KIND_COUNT };
	if (kind == NULL || client == NULL ||
	    !read_count(from, "message", &ret->message) ||
	    !read_count(from, "offset", &ret->offset) ||
	    !read_count(from, "length", &ret->length))
		return false;
	ret->kind = fault_kind_parse(kind);
	if (client[0] != '\0') {
		if (address_parse(client, &address, error, sizeof(error)) < 0)
			return false;
		address_compact(&address, &ret->client);
	}
	/* null: for ever */
	if (!read_count(from, "value", &ret->value))
		ret->value = 0;
	return ret->kind < FAULT_KIND_COUNT;
}

int
explain_read(const char *text, uint64_t injected, struct explain_list *ret, char *error,
    size_t error_size)
{
	json_error_t why;
	json_t *root = json_load_text(text, strlen(text), 0, &why);
	const json_t *record = json_object_get(root, "record");
	size_t all = json_array_size(record), count = all, i;
	struct explain_list list = { .faults = NULL };
	if (root == NULL && errno == ENOMEM)
		xmalloc_fail();
	if (root == NULL || !json_is_array(record)) {
		snprintf(error, error_size, "/faults: %s",
		    root == NULL ? printable_sanitize(why.text)
				 : "record: expected an array");
		json_decref(root);
		return -1;
	}
	if (count > injected)
		count = (size_t)injected;
	list.missing = injected - count;
	list.faults = xcalloc(count + 1, sizeof(*list.faults));
	for (i = 0; i < count; i++) {
		if (!read_fault(json_array_get(record, all - count + i),
			&list.faults[list.count++]))
			break;
	}
	json_decref(root);
	if (i == count) {
		*ret = list;
		return 0;
	}
	free(list.faults);
	snprintf(error, error_size, "/faults: record[%zu]: expected a fault",
	    all - count + i);
	return -1;
}

static int
compare_clients(const struct address_compact *a, const struct address_compact *b)
{
	if (a->family != b->family)
		return a->family < b->family ? -1 : 1;
	if (a->port != b->port)
		return a->port < b->port ? -1 : 1;
	return memcmp(a->bytes, b->bytes, sizeof(a->bytes));
}

static int
compare(const void *a, const void *b)
{
	const struct explain_fault *one = a, *other = b;
	return compare_clients(&one->client, &other->client);
}

/* Changes when bytes arrive, and not which. */
static bool
is_timing(enum fault_kind kind)
{
	return kind == FAULT_DELAY || kind == FAULT_TRICKLE || kind == FAULT_STALL ||
	    kind == FAULT_NEVER_ACCEPT || kind == FAULT_BACKLOG;
}

static bool
explains_damage(const struct explain_fault *fault, const struct finding *finding)
{
	if (fault_kinds[fault->kind].scope != FAULT_SCOPE_REPLY ||
	    fault->kind == FAULT_DELAY)
		return false;
	/* The faults count messages from 1. A reordered reply is followed by another.
	 */
	uint64_t message = finding->message + 1;
	uint64_t last = fault->message + 1;
	if (fault->kind == FAULT_REORDER)
		last += fault->value;
	return (message + 1 >= fault->message && message <= last) ||
	    (finding->offset + PLACE_SLACK >= fault->offset &&
		finding->offset <= fault->offset + fault->length);
}

static bool
explains(const struct explain_fault *fault, const struct finding *finding)
{
	switch ((enum finding_kind)finding->kind) {
	case FINDING_TIMEOUT:
		return true;
	case FINDING_ENDED:
		/* After others the server may have waited for us in vain. */
		return fault->kind != FAULT_DELAY;
	case FINDING_DAMAGE:
		break;
	}
	return explains_damage(fault, finding);
}

/* The first fault of the client; the count if it has none. */
static size_t
find_client(const struct explain_list *list, const struct address_compact *client)
{
	size_t low = 0, high = list->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare_clients(&list->faults[middle].client, client) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

/* Marks the faults of this client that explain the finding. True if there is one. */
static bool
mark(struct explain_list *list, const struct address_compact *client,
    const struct finding *finding)
{
	bool is_explained = false;
	for (size_t i = find_client(list, client); i < list->count; i++) {
		struct explain_fault *fault = &list->faults[i];
		if (compare_clients(&fault->client, client) != 0)
			break;
		if (!explains(fault, finding))
			continue;
		fault->is_seen = true;
		is_explained = true;
	}
	return is_explained;
}

void
explain_findings(const struct finding *findings, size_t finding_count,
    uint64_t findings_missed, struct explain_list *list, struct explained_faults *ret,
    struct explain_named *ret_named)
{
	struct explain_named named = { .count = 0 };
	const struct address_compact none = { .family = 0 };
	struct explained_faults out = { .injected = list->count + list->missing,
		.recorded = list->count,
		.findings = finding_count + findings_missed,
		.unjudged = findings_missed };
	if (list->count > 0)
		qsort(list->faults, list->count, sizeof(*list->faults), compare);
	for (size_t i = 0; i < finding_count; i++) {
		if (mark(list, &findings[i].local, &findings[i]) ||
		    (findings[i].kind != FINDING_DAMAGE &&
			mark(list, &none, &findings[i])))
			out.explained++;
		else if (list->missing > 0)
			out.unjudged++;
		else {
			out.unexplained++;
			if (named.count < EXPLAIN_NAMED_MAX)
				named.list[named.count++] = &findings[i];
		}
	}
	for (size_t i = 0; i < list->count; i++) {
		if (is_timing(list->faults[i].kind))
			out.timing++;
		else if (list->faults[i].is_seen)
			out.seen++;
		else
			out.unseen++;
	}
	*ret = out;
	*ret_named = named;
}
