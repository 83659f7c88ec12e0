#include "client/messages/notation.h"

#include <stdio.h>
#include <string.h>

static const char *const line_ends[] = {
	[CONVERSATION_CRLF] = "\r\n",
	[CONVERSATION_LF] = "\n",
	[CONVERSATION_NO_ENDING] = "",
};

/* Bytes up to the first line end, or all; *ret_end: length of that line end. */
static size_t
text_length(const uint8_t *data, size_t length, const char *end, size_t *ret_end)
{
	size_t n = strlen(end);
	const uint8_t *at = n > 0 ? memmem(data, length, end, n) : NULL;
	*ret_end = at != NULL ? n : 0;
	return at != NULL ? (size_t)(at - data) : length;
}

/* Writes one byte of a text; `is_last`: nothing follows in the line, where a blank is
 * not recognised. */
static size_t
write_byte(uint8_t byte, bool is_last, char *out)
{
	static const char bytes[] = "\r\n\t\\", letters[] = "rnt\\";
	const char *escape = byte != 0 ? strchr(bytes, byte) : NULL;
	if (escape != NULL)
		return (size_t)sprintf(out, "\\%c", letters[escape - bytes]);
	if (byte < 0x20 || byte > 0x7e || (byte == ' ' && is_last))
		return (size_t)sprintf(out, "\\x%02x", byte);
	*out = (char)byte;
	return 1;
}

size_t
notation_line(enum conversation_role speaker, enum conversation_ending ending,
    const uint8_t *data, size_t length, char *out)
{
	size_t end, text = text_length(data, length, line_ends[ending], &end);
	if (text > NOTATION_BYTES_MAX) {
		text = NOTATION_BYTES_MAX;
		end = 0;
	}
	bool no_ending = end == 0 && ending != CONVERSATION_NO_ENDING;
	*out++ = speaker == CONVERSATION_CLIENT ? 'C' : 'S';
	*out++ = ':';
	if (text > 0 || no_ending)
		*out++ = ' ';
	for (size_t i = 0; i < text; i++)
		out += write_byte(data[i], i + 1 == text, out);
	snprintf(out, 3, "%s", no_ending ? "\\c" : "");
	return text + end;
}
