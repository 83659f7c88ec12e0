#include "lib/suggest.h"

#include <ctype.h>
#include <stdbool.h>
#include <string.h>

#define WORD_MAX 64 /* longer words get no suggestion */

static bool
same(char a, char b)
{
	return tolower((unsigned char)a) == tolower((unsigned char)b);
}

static int
smallest(int a, int b, int c)
{
	int least = a < b ? a : b;
	return least < c ? least : c;
}

static int
distance(const char *a, size_t a_length, const char *b, size_t b_length)
{
	int rows[3][WORD_MAX + 1] = { 0 };
	int *older = rows[0], *old = rows[1], *row = rows[2];
	for (size_t j = 0; j <= b_length; j++)
		old[j] = (int)j;
	for (size_t i = 1; i <= a_length; i++) {
		row[0] = (int)i;
		for (size_t j = 1; j <= b_length; j++) {
			int changed = old[j - 1] + (same(a[i - 1], b[j - 1]) ? 0 : 1);
			row[j] = smallest(old[j] + 1, row[j - 1] + 1, changed);
			if (i > 1 && j > 1 && same(a[i - 1], b[j - 2]) &&
			    same(a[i - 2], b[j - 1]) && older[j - 2] + 1 < row[j])
				row[j] = older[j - 2] + 1;
		}
		int *spare = older;
		older = old;
		old = row;
		row = spare;
	}
	return old[b_length];
}

const char *
suggest_nearest(const char *word, const char *const *known)
{
	const char *nearest = NULL;
	size_t length = strlen(word);
	int best = (int)((length + 2) / 3) + 1;
	if (length == 0 || length > WORD_MAX)
		return NULL;
	for (; *known != NULL; known++) {
		size_t known_length = strlen(*known);
		if (known_length > WORD_MAX)
			continue;
		int d = distance(word, length, *known, known_length);
		if (d < best && (size_t)d < known_length) {
			best = d;
			nearest = *known;
		}
	}
	return nearest;
}
