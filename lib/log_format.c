#include "lib/log_format.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/printable.h"
#include "lib/units.h"

/* As the inside of a JSON string; cut when full. */
static size_t
append_json_text(char *line, size_t at, size_t size, const char *text)
{
	while (*text != '\0' && at + 8 <= size) {
		unsigned char c = (unsigned char)*text;
		size_t length = printable_length(text);
		if (c == '"' || c == '\\')
			line[at++] = '\\';
		if (length > 0)
			memcpy(line + at, text, length);
		else if (c < 0x80)
			at += (size_t)sprintf(line + at, "\\u%04x", c);
		else
			line[at++] = '?'; /* JSON cannot contain invalid UTF-8 */
		at += length;
		text += length > 0 ? length : 1;
	}
	return at;
}

size_t
log_format_json(const struct log_event *event, char *line, size_t size)
{
	char when[UNITS_TEXT_MAX];
	size_t at = (size_t)snprintf(line, size,
	    "{\"time\":\"%s\",\"level\":\"%s\",\"program\":\"%s\",\"pid\":%d,",
	    units_format_time(clock_realtime_ns(), 6, when),
	    log_level_names[event->level], event->program, (int)getpid());
	if (event->role[0] != '\0')
		at += (size_t)snprintf(
		    line + at, size - at, "\"role\":\"%s\",", event->role);
	at += (size_t)snprintf(line + at, size - at, "\"message\":\"");
	at = append_json_text(line, at, size - 4, event->message);
	memcpy(line + at, "\"}\n", 3);
	return at + 3;
}

size_t
log_format_text(const struct log_event *event, char *line, size_t size)
{
	int at = 0;
	if (event->is_command)
		at = snprintf(line, size, "%s: ", event->program);
	else if (event->program[0] != '\0')
		at = snprintf(line, size, "%s[%d]%s%s: ", event->program, (int)getpid(),
		    event->role[0] != '\0' ? " " : "", event->role);
	int n = snprintf(line + at, size - (size_t)at - 1, "%s", event->message);
	size_t end = (size_t)at + (size_t)n;
	if (end > size - 2)
		end = size - 2;
	/* Untrusted values cannot add lines. */
	line[end] = '\0';
	printable_sanitize(line + at);
	line[end] = '\n';
	return end + 1;
}
