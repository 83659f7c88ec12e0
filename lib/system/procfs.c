#include "lib/system/procfs.h"

#include <sys/stat.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define COUNTERS_MAX 32768

void
procfs_read(const char *path, char *text, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t length = 0;
	ssize_t n;
	while (fd >= 0 && length < size - 1 &&
	    (n = read(fd, text + length, size - 1 - length)) > 0)
		length += (size_t)n;
	text[length] = '\0';
	if (fd >= 0)
		close(fd);
}

void
procfs_numbers(const char *path, uint64_t *ret, size_t count)
{
	char text[256], *at = text;
	procfs_read(path, text, sizeof(text));
	for (size_t i = 0; i < count; i++)
		ret[i] = strtoull(at, &at, 10);
}

uint64_t
procfs_number(const char *path)
{
	uint64_t number;
	procfs_numbers(path, &number, 1);
	return number;
}

uint64_t
procfs_word(const char *path, const char *line_start, const char *word)
{
	char text[4096];
	procfs_read(path, text, sizeof(text));
	const char *line = strstr(text, line_start);
	const char *at = line != NULL ? strstr(line, word) : NULL;
	return at != NULL ? strtoull(at + strlen(word), NULL, 10) : 0;
}

/* The next line that starts with the section, from `text` on; or NULL. */
static char *
find_line(char *text, const char *section)
{
	while (text != NULL && strncmp(text, section, strlen(section)) != 0) {
		text = strchr(text, '\n');
		if (text != NULL)
			text++;
	}
	return text;
}

static void
keep_wanted(const char *name, const char *value, const struct procfs_counter *wanted,
    size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (strcmp(wanted[i].name, name) == 0)
			*wanted[i].ret = strtoull(value, NULL, 10);
}

void
procfs_counters(const char *path, const char *section,
    const struct procfs_counter *wanted, size_t count)
{
	char text[COUNTERS_MAX], *rest_of_names, *rest_of_values;
	procfs_read(path, text, sizeof(text));
	char *names = find_line(text, section);
	char *values = names != NULL ? strchr(names, '\n') : NULL;
	if (values == NULL)
		return;
	*values++ = '\0';
	values[strcspn(values, "\n")] = '\0';
	names = strtok_r(names, " ", &rest_of_names);
	values = strtok_r(values, " ", &rest_of_values);
	while (names != NULL && values != NULL) {
		keep_wanted(names, values, wanted, count);
		names = strtok_r(NULL, " ", &rest_of_names);
		values = strtok_r(NULL, " ", &rest_of_values);
	}
}

void
procfs_counter(const char *path, const char *section, const char *name, uint64_t *ret)
{
	const struct procfs_counter wanted = { name, ret };
	procfs_counters(path, section, &wanted, 1);
}

uint64_t
procfs_descriptors(pid_t pid)
{
	char path[32];
	struct stat st;
	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	return stat(path, &st) < 0 ? 0 : (uint64_t)st.st_size;
}
