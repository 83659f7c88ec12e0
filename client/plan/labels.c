#include "client/plan/labels.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/printable.h"
#include "lib/xmalloc.h"

/* Labels of the metrics themselves. */
static const char *const reserved[] = { "le", "reason", "latency", "target", "address",
	"idle", "server", "process", "verdict", "phase", "threshold", "step",
	"yodel_version" };

bool
labels_is_key(const char *key)
{
	size_t length = strlen(key);
	if (length == 0 || length >= LABELS_KEY_MAX || isdigit((unsigned char)*key) ||
	    strncmp(key, "__", 2) == 0)
		return false;
	for (size_t i = 0; i < length; i++)
		if (!isascii((unsigned char)key[i]) ||
		    (!isalnum((unsigned char)key[i]) && key[i] != '_'))
			return false;
	return true;
}

static bool
is_reserved(const char *key)
{
	for (size_t i = 0; i < sizeof(reserved) / sizeof(reserved[0]); i++)
		if (strcmp(key, reserved[i]) == 0)
			return true;
	return false;
}

int
labels_parse(struct labels *labels, const char *text, char *error, size_t error_size)
{
	const char *equals = strchr(text, '=');
	char key[LABELS_KEY_MAX], shown[LABELS_KEY_MAX + LABELS_VALUE_MAX];
	snprintf(key, sizeof(key), "%.*s", equals == NULL ? 0 : (int)strcspn(text, "="),
	    text);
	printable_escape(text, shown, sizeof(shown));
	if (equals == NULL || equals - text >= LABELS_KEY_MAX || !labels_is_key(key))
		snprintf(error, error_size,
		    "--label: found \"%.128s\", expected KEY=VALUE with a key of letters, digits and \"_\"",
		    shown);
	else if (is_reserved(key))
		snprintf(error, error_size,
		    "--label: \"%s\" is a label of yodel's own metrics; fix: another key",
		    key);
	else if (labels_find(labels, key) != NULL)
		snprintf(error, error_size, "--label: \"%s\" is given twice", key);
	else if (strlen(equals + 1) >= LABELS_VALUE_MAX || strcmp(shown, text) != 0)
		snprintf(error, error_size,
		    "--label: \"%s\": expected a value of at most %d bytes without control characters",
		    key, LABELS_VALUE_MAX - 1);
	else if (labels->count == LABELS_MAX)
		snprintf(error, error_size, "--label: expected at most %d labels",
		    LABELS_MAX);
	else {
		labels_add(labels, key, equals + 1);
		return 0;
	}
	return -1;
}

void
labels_add(struct labels *labels, const char *key, const char *value)
{
	labels->items =
	    xreallocarray(labels->items, labels->count + 1, sizeof(labels->items[0]));
	labels->items[labels->count++] =
	    (struct label){ .key = xstrdup(key), .value = xstrdup(value) };
}

static struct label *
find(const struct labels *labels, const char *key)
{
	for (size_t i = 0; i < labels->count; i++)
		if (strcmp(labels->items[i].key, key) == 0)
			return &labels->items[i];
	return NULL;
}

const char *
labels_find(const struct labels *labels, const char *key)
{
	const struct label *label = find(labels, key);
	return label == NULL ? NULL : label->value;
}

/* True if `value` is one of the values joined in `all`. */
static bool
has_value(const char *all, const char *value)
{
	size_t length = strlen(value);
	for (const char *at = all; at != NULL;) {
		const char *end = strstr(at, ", ");
		size_t own = end == NULL ? strlen(at) : (size_t)(end - at);
		if (own == length && memcmp(at, value, length) == 0)
			return true;
		at = end == NULL ? NULL : end + 2;
	}
	return false;
}

void
labels_merge(struct labels *into, const struct labels *from)
{
	for (size_t i = 0; i < from->count; i++) {
		const struct label *other = &from->items[i];
		struct label *own = find(into, other->key);
		if (own == NULL) {
			labels_add(into, other->key, other->value);
		} else if (!has_value(own->value, other->value)) {
			char *both = xasprintf("%s, %s", own->value, other->value);
			free(own->value);
			own->value = both;
		}
	}
}

void
labels_copy(struct labels *ret, const struct labels *from)
{
	*ret = (struct labels){ .items = NULL };
	for (size_t i = 0; i < from->count; i++)
		labels_add(ret, from->items[i].key, from->items[i].value);
}

void
labels_finish(struct labels *labels)
{
	for (size_t i = 0; i < labels->count; i++) {
		free(labels->items[i].key);
		free(labels->items[i].value);
	}
	free(labels->items);
	*labels = (struct labels){ .items = NULL };
}

const char *
labels_format(const struct labels *labels, char *out, size_t size)
{
	size_t used = 0;
	out[0] = '\0';
	for (size_t i = 0; i < labels->count && used < size; i++) {
		int n = snprintf(out + used, size - used, "%s%s=%s", i > 0 ? ", " : "",
		    labels->items[i].key, labels->items[i].value);
		used += n > 0 ? (size_t)n : 0;
	}
	return out;
}
