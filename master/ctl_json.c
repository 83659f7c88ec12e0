#include "master/ctl_json.h"

#include <inttypes.h>
#include <stdio.h>

uint64_t
ctl_json_number(const json_t *object, const char *key)
{
	return (uint64_t)json_integer_value(json_object_get(object, key));
}

const char *
ctl_json_text(const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));
	return text == NULL ? "" : text;
}

const char *
ctl_json_show(const json_t *object, const char *key, char *text)
{
	if (!json_is_integer(json_object_get(object, key)))
		return "-";
	snprintf(text, CTL_JSON_TEXT_MAX, "%" PRIu64, ctl_json_number(object, key));
	return text;
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
