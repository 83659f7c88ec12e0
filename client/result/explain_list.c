#include "client/result/explain_list.h"

#include <sys/socket.h>

#include <errno.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/json/json_load.h"
#include "lib/printable.h"
#include "lib/xmalloc.h"

/* A finding is noticed, and a fault recorded, a little after it happened. */
#define SLACK_NS (20 * NS_PER_MS)

static bool
read_count(const json_t *from, const char *key, uint64_t *ret)
{
	const json_t *value = json_object_get(from, key);
	if (!json_is_integer(value) || json_integer_value(value) < 0)
		return false;
	*ret = (uint64_t)json_integer_value(value);
	return true;
}

void
explain_unmap(struct address_compact *address)
{
	static const uint8_t mapped[12] = { [10] = 0xff, [11] = 0xff };
	if (address->family != AF_INET6 ||
	    memcmp(address->bytes, mapped, sizeof(mapped)) != 0)
		return;
	memmove(address->bytes, address->bytes + sizeof(mapped), 4);
	memset(address->bytes + 4, 0, sizeof(mapped));
	address->family = AF_INET;
}

/* Members that earlier servers do not have are 0. */
static bool
read_fault(const json_t *from, int64_t ahead_ns, struct explain_fault *ret)
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
		explain_unmap(&ret->client);
	}
	if (!read_count(from, "value", &ret->value))
		ret->value = FAULT_FOR_EVER; /* null */
	if (read_count(from, "time_ns", &ret->time_ns))
		ret->time_ns -= (uint64_t)ahead_ns;
	if (read_count(from, "connected_ns", &ret->connected_ns) &&
	    ret->connected_ns != 0)
		ret->connected_ns -= (uint64_t)ahead_ns;
	return ret->kind < FAULT_KIND_COUNT;
}

/* By how much the server's clock is ahead of this client's. */
static int64_t
read_clock(
    const json_t *root, const struct explain_request *request, uint64_t *ret_slack_ns)
{
	uint64_t now_ns, half_ns = (request->answered_ns - request->asked_ns) / 2;
	*ret_slack_ns = SLACK_NS + half_ns;
	return read_count(root, "now_ns", &now_ns)
	    ? (int64_t)(now_ns - (request->asked_ns + half_ns))
	    : 0;
}

/* True if a listener still has a fault of this kind. */
static bool
has_kind(const json_t *root, enum fault_kind kind)
{
	const char *name = fault_kinds[kind].name;
	size_t length = strlen(name), i, j;
	const json_t *listener, *fault;
	json_array_foreach(json_object_get(root, "listeners"), i, listener)
	{
		json_array_foreach(json_object_get(listener, "faults"), j, fault)
		{
			const char *text =
			    json_string_value(json_object_get(fault, "fault"));
			if (text != NULL && strncmp(text, name, length) == 0 &&
			    strchr(" ", text[length]) != NULL)
				return true;
		}
	}
	return false;
}

/* True if an earlier fault was still in effect when the run began: of a listener; a
 * backlog has no time. */
static bool
is_in_effect(const json_t *root, const struct explain_fault *fault,
    const struct explain_request *request)
{
	if (fault->client.family != 0 || !has_kind(root, fault->kind))
		return false;
	return fault->kind == FAULT_BACKLOG || fault->value == FAULT_FOR_EVER ||
	    fault->time_ns + fault->value >= request->since_ns;
}

/* Reads the faults that are wanted. SIZE_MAX, or the place of what is no fault. */
static size_t
read_record(const json_t *root, const struct explain_request *request, int64_t ahead_ns,
    struct explain_list *list)
{
	const json_t *record = json_object_get(root, "record");
	size_t all = json_array_size(record), first = 0;
	if (all > request->injected)
		first = all - (size_t)request->injected;
	list->missing = request->injected - (all - first);
	list->faults = xcalloc(all + 1, sizeof(*list->faults));
	for (size_t i = 0; i < all; i++) {
		struct explain_fault *fault = &list->faults[list->count];
		if (!read_fault(json_array_get(record, i), ahead_ns, fault))
			return i;
		if (i >= first || is_in_effect(root, fault, request))
			list->count++;
	}
	return SIZE_MAX;
}

int
explain_list_read(const char *text, const struct explain_request *request,
    struct explain_list *ret, char *error, size_t error_size)
{
	json_error_t why;
	json_t *root = json_load_text(text, strlen(text), 0, &why);
	struct explain_list list = { .faults = NULL };
	if (root == NULL && errno == ENOMEM)
		xmalloc_fail();
	if (root == NULL || !json_is_array(json_object_get(root, "record"))) {
		snprintf(error, error_size, "/faults: %s",
		    root == NULL ? printable_sanitize(why.text)
				 : "record: expected an array");
		json_decref(root);
		return -1;
	}
	int64_t ahead_ns = read_clock(root, request, &list.slack_ns);
	size_t bad = read_record(root, request, ahead_ns, &list);
	json_decref(root);
	if (bad == SIZE_MAX) {
		*ret = list;
		return 0;
	}
	free(list.faults);
	snprintf(error, error_size, "/faults: record[%zu]: expected a fault", bad);
	return -1;
}

void
explain_list_add(struct explain_list *to, const struct explain_list *from)
{
	to->missing += from->missing;
	to->is_incomplete = to->is_incomplete || from->is_incomplete;
	if (from->slack_ns > to->slack_ns)
		to->slack_ns = from->slack_ns;
	if (from->count == 0)
		return;
	to->faults =
	    xreallocarray(to->faults, to->count + from->count, sizeof(*to->faults));
	memcpy(to->faults + to->count, from->faults, from->count * sizeof(*to->faults));
	to->count += from->count;
}

int
explain_compare_clients(
    const struct address_compact *a, const struct address_compact *b)
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
	int order = explain_compare_clients(&one->client, &other->client);
	if (order == 0 && one->offset != other->offset)
		order = one->offset < other->offset ? -1 : 1;
	return order;
}

void
explain_list_sort(struct explain_list *list)
{
	if (list->count > 0)
		qsort(list->faults, list->count, sizeof(*list->faults), compare);
}

size_t
explain_list_find(const struct explain_list *list, const struct address_compact *client,
    uint64_t offset)
{
	const struct explain_fault wanted = { .client = *client, .offset = offset };
	size_t low = 0, high = list->count;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		if (compare(&list->faults[middle], &wanted) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}
