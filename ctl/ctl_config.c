#include "ctl/ctl_config.h"

#include <stdlib.h>
#include <string.h>

#include "lib/printable.h"
#include "lib/xmalloc.h"
#include "ctl/ctl_json.h"

#define NAME_MAX_LENGTH 256
#define INDENT 2
#define ESCAPE_MAX 6 /* \u009b */

struct writer {
	FILE *out;
	const json_t *origins; /* by full name */
};

static void write_value(const struct writer *writer, const json_t *value,
    const char *name, int depth, const char *end);

/* A value on one line, and its origin. Control characters become JSON escapes of the
 * same meaning, so that the terminal does not obey them. */
static void
write_leaf(
    const struct writer *writer, const json_t *value, const char *name, const char *end)
{
	const char *origin = ctl_json_text(writer->origins, name);
	char *json = value == NULL ? xstrdup("null")
				   : xmalloc_check(json_dumps(value, JSON_ENCODE_ANY));
	size_t size = ESCAPE_MAX * strlen(json) + sizeof("...");
	char *plain = xmalloc(size);
	fprintf(writer->out, "%s%s", printable_escape(json, plain, size), end);
	if (origin[0] != '\0')
		fprintf(writer->out, " // %s", origin);
	fputc('\n', writer->out);
	free(plain);
	free(json);
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

/* A list with an origin of its own is one value. */
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
ctl_config_show(FILE *out, const json_t *reply)
{
	const struct writer writer = { out, json_object_get(reply, "origins") };
	write_value(&writer, json_object_get(reply, "config"), "", 0, "");
}
