#include "client/verify/detect.h"

#define PART_BYTES 512

struct tally {
	uint64_t sent; /* lower-case letters */
	uint64_t got;
	uint64_t answers; /* that have ended */
};

static bool
is_lower(uint8_t byte)
{
	return byte >= 'a' && byte <= 'z';
}

/* True if the letters are clearly those of one kind. */
static bool
is_clear(const struct tally *tally)
{
	return 4 * tally->got <= tally->sent || 4 * tally->got >= 3 * tally->sent;
}

static bool
is_enough(const struct tally *tally, size_t bytes, bool answer_ends)
{
	if (tally->sent == 0)
		return false;
	if (tally->answers >= DETECT_ANSWERS_MAX || bytes >= DETECT_BYTES_MAX)
		return true;
	return is_clear(tally) &&
	    (tally->sent >= DETECT_LETTERS ||
		(answer_ends && tally->sent >= DETECT_LETTERS_MIN));
}

bool
detect_reply_kind(struct expectation_reader echo, const uint8_t *got, size_t length,
    bool is_last, enum reply_kind *ret)
{
	uint8_t part[PART_BYTES];
	struct tally tally = { .sent = 0 };
	bool enough = false;
	size_t at = 0, n;
	while (at < length && !enough) {
		size_t want = length - at < sizeof(part) ? length - at : sizeof(part);
		if (echo.cursor.length > echo.cursor.at &&
		    want > echo.cursor.length - echo.cursor.at)
			want = echo.cursor.length - echo.cursor.at;
		else if (echo.cursor.length == echo.cursor.at)
			want = 1;
		n = expectation_read(&echo, part, want);
		if (n == 0)
			break;
		for (size_t i = 0; i < n && !enough; i++) {
			bool ends = i + 1 == n && echo.cursor.at == echo.cursor.length;
			tally.sent += is_lower(part[i]);
			tally.got += is_lower(got[at + i]);
			tally.answers += ends;
			enough = is_enough(&tally, at + i + 1, ends);
		}
		at += n;
	}
	if (!enough && (!is_last || tally.sent == 0))
		return false;
	*ret = 2 * tally.got > tally.sent ? REPLY_ECHO : REPLY_UPPER;
	return true;
}

bool
detect_is_same(struct expectation_reader echo, size_t length)
{
	uint8_t part[PART_BYTES];
	while (length > 0) {
		size_t n = length < sizeof(part) ? length : sizeof(part);
		n = expectation_read(&echo, part, n);
		if (n == 0)
			return true;
		for (size_t i = 0; i < n; i++)
			if (is_lower(part[i]))
				return false;
		length -= n;
	}
	return true;
}
