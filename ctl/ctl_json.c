#include "ctl/ctl_json.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/clock.h"
#include "lib/json/json_load.h"
#include "lib/printable.h"
#include "lib/units.h"
#include "lib/xmalloc.h"

int
ctl_json_request(const char *socket, const char *method, const char *target,
    double timeout_s, struct http_client_response *ret, char *error)
{
	char why[80];
	char *server = xasprintf("unix:%s", socket);
	const struct http_client_request request = {
		.server = server,
		.method = method,
		.target = target,
		.timeout_ns = (uint64_t)(timeout_s * (double)NS_PER_S),
	};
	enum http_client_status status =
	    http_client_send(&request, ret, why, sizeof(why));
	int saved = errno;
	free(server);
	if (status == HTTP_CLIENT_OK)
		return 0;
	bool is_connected = status != HTTP_CLIENT_NOT_CONNECTED;
	if (!is_connected && (saved == ENOENT || saved == ECONNREFUSED))
		snprintf(error, CTL_ERROR_MAX,
		    "no yodeld is listening on %.120s; is it running? (other socket: -s PATH)",
		    socket);
	else
		snprintf(error, CTL_ERROR_MAX, "%.120s: %s%s", socket, why,
		    saved == EACCES ? "; its mode and admin.group control access" : "");
	errno = is_connected ? saved : ENOTCONN;
	return -1;
}

json_t *
ctl_json_load(const char *text)
{
	json_t *json = json_load_text(text, strlen(text), 0, NULL);
	if (json == NULL && errno == ENOMEM)
		xmalloc_fail();
	return json;
}

uint64_t
ctl_json_number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

uint64_t
ctl_json_to_count(double number)
{
	if (!(number > 0))
		return 0;
	return number < (double)INT64_MAX ? (uint64_t)(number + 0.5) : INT64_MAX;
}

uint64_t
ctl_json_duration_ns(const json_t *object, const char *key)
{
	return ctl_json_to_count(json_number_value(json_object_get(object, key)) * 1e9);
}

const char *
ctl_json_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text == NULL ? "" : text;
}

const char *
ctl_json_format(const json_t *object, const char *key, char *text)
{
	if (!json_is_integer(json_object_get(object, key)))
		return "-";
	snprintf(text, CTL_JSON_TEXT_MAX, "%" PRIu64, ctl_json_number(object, key));
	return text;
}

const char *
ctl_json_show_count(const json_t *object, const char *key, char *text)
{
	if (!json_is_integer(json_object_get(object, key)))
		return strcpy(text, "-");
	return units_show_count(ctl_json_number(object, key), text);
}

uint64_t
ctl_json_sum(const json_t *object)
{
	uint64_t sum = 0;
	const char *key;
	json_t *value;
	json_object_foreach((json_t *)object, key, value)
	{
		sum += (uint64_t)json_integer_value(value);
	}
	return sum;
}

void
ctl_json_make_printable(char *text)
{
	for (char *at = text; *at != '\0';) {
		size_t length = *at == '\n' ? 1 : printable_length(at);
		if (length == 0)
			*at = '?';
		at += length == 0 ? 1 : length;
	}
}
