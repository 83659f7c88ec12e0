#include "ctl/ctl_faults.h"

#include <stdlib.h>
#include <string.h>

#include "lib/units.h"
#include "lib/xmalloc.h"
#include "ctl/ctl_json.h"

static void
show_listener(FILE *out, const json_t *listener)
{
	size_t i;
	json_t *fault;
	const json_t *faults = json_object_get(listener, "faults");
	fprintf(out, "%s%s%s\n", ctl_json_text(listener, "address"),
	    json_is_true(json_object_get(listener, "run_time")) ? " (set at run time)"
								: "",
	    json_array_size(faults) == 0 ? ": no faults" : ":");
	json_array_foreach((json_t *)faults, i, fault)
	{
		char text[UNITS_TEXT_MAX];
		fprintf(out, "  %-48s %12s injected\n", ctl_json_text(fault, "fault"),
		    units_show_count(ctl_json_number(fault, "injected"), text));
	}
}

void
ctl_faults_show(FILE *out, const json_t *faults)
{
	size_t i;
	json_t *listener;
	json_array_foreach(json_object_get(faults, "listeners"), i, listener)
	{
		show_listener(out, listener);
	}
}

/* Appends `key` and the value, percent-encoded (RFC 3986). */
static void
append(FILE *out, const char *key, const char *value)
{
	static const char plain[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~";
	fputs(key, out);
	for (; *value != '\0'; value++) {
		if (strchr(plain, *value) != NULL)
			fputc(*value, out);
		else
			fprintf(out, "%%%02X", (unsigned)(unsigned char)*value);
	}
}

char *
ctl_faults_target(char *const *arguments, char *error)
{
	char *text = NULL;
	size_t length;
	if (strcmp(arguments[0], "clear") == 0 && arguments[1] == NULL)
		return xstrdup("/faults?clear=1");
	if (strcmp(arguments[0], "set") != 0 || arguments[1] == NULL) {
		snprintf(error, CTL_ERROR_MAX,
		    "found \"%.64s\"%s, expected \"set LISTENER FAULT...\" or \"clear\"",
		    arguments[0],
		    strcmp(arguments[0], "set") == 0 ? " without a listener" : "");
		return NULL;
	}
	FILE *out = xmalloc_check(open_memstream(&text, &length));
	append(out, "/faults?listener=", arguments[1]);
	for (size_t i = 2; arguments[i] != NULL; i++)
		append(out, "&fault=", arguments[i]);
	if (fclose(out) < 0)
		xmalloc_fail();
	return text;
}
