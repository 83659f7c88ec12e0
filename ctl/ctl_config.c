#include "ctl/ctl_config.h"

#include <stdlib.h>
#include <string.h>

#include "lib/printable.h"

#include "ctl/ctl_json.h"

#define NAME_MAX_LENGTH 256
#define INDENT 2

struct writer {
	FILE *out;
	const json_t *origins; /* by full name */
};

static void write_value(const struct writer *writer, const json_t *value,
    const char *name, int depth, const char *end);

/* JSON, which may hold control characters, so that a terminal obeys none: each becomes
 * an escape that means the same. */
static void
write_plain(FILE *out, const char *json)
{
	enum { LONGEST = 6 }; /* \u009b */
	size_t size = LONGEST * strlen(json) + sizeof("...");
	char *plain = malloc(size);
	fputs(plain == NULL ? "null" : printable_escape(json, plain, size), out);
	free(plain);
}

/* A value on one line, and where it came from. */
static void
write_leaf(
    const struct writer *writer, const json_t *value, const char *name, const char *end)
{
	const char *origin = ctl_json_text(writer->origins, name);
	char *text = json_dumps(value, JSON_ENCODE_ANY);
	write_plain(writer->out, text == NULL ? "null" : text);
	fputs(end, writer->out);
	if (origin[0] != '\0')
		fprintf(writer->out, " // %s", origin);
	fputc('\n', writer->out);
	free(text);
}

static void
write_object(const struct writer *writer, const json_t *object, const char *name,
    int depth, const char *end)
{
	size_t left = json_object_size(object);
	const char *key;
	json_t *value;
	fputs("{\n", writer->out);
	json_object_foreach((json_t *)object, key, value)
	{
		char inner[NAME_MAX_LENGTH];
		snprintf(inner, sizeof(inner), "%s%s%s", name,
		    name[0] == '\0' ? "" : ".", key);
		fprintf(writer->out, "%*s\"%s\": ", (depth + 1) * INDENT, "", key);
		write_value(writer, value, inner, depth + 1, --left > 0 ? "," : "");
	}
	fprintf(writer->out, "%*s}%s\n", depth * INDENT, "", end);
}

static void
write_list(const struct writer *writer, const json_t *list, const char *name, int depth,
    const char *end)
{
	size_t left = json_array_size(list), i;
	json_t *value;
	fputs("[\n", writer->out);
	json_array_foreach((json_t *)list, i, value)
	{
		char inner[NAME_MAX_LENGTH];
		snprintf(inner, sizeof(inner), "%s[%zu]", name, i);
		fprintf(writer->out, "%*s", (depth + 1) * INDENT, "");
		write_value(writer, value, inner, depth + 1, --left > 0 ? "," : "");
	}
	fprintf(writer->out, "%*s]%s\n", depth * INDENT, "", end);
}

/* What has an origin of its own is one value, also if it is a list. */
static void
write_value(const struct writer *writer, const json_t *value, const char *name,
    int depth, const char *end)
{
	if (json_is_object(value))
		write_object(writer, value, name, depth, end);
	else if (json_is_array(value) && json_object_get(writer->origins, name) == NULL)
		write_list(writer, value, name, depth, end);
	else
		write_leaf(writer, value, name, end);
}

void
ctl_config_show(FILE *out, const json_t *answer)
{
	const struct writer writer = { out, json_object_get(answer, "origins") };
	write_value(&writer, json_object_get(answer, "config"), "", 0, "");
}
