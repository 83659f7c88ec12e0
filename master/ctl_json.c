#include "master/ctl_json.h"

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
