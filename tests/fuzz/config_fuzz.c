/*
 * The configuration, from the text of a file to the struct. Lines at the front that
 * start with "@" are --set overrides, the rest is the file. What is loaded must print
 * as what loads to the same; what is refused must give one line.
 */
#include <sys/mman.h>

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/config.h"

#define OVERRIDES_MAX 8

#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A file in memory with this text; its path goes into path[64]. */
static int
make_file(const void *text, size_t size, char *path)
{
	int fd = memfd_create("config", MFD_CLOEXEC);

	must(fd >= 0 && write(fd, text, size) == (ssize_t)size);
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

static void
check_round_trip(const struct config *config)
{
	char *text = config_print(config), *again;
	char path[64], error[CONFIG_ERROR_MAX];
	struct config loaded;

	must(text != NULL);
	int fd = make_file(text, strlen(text), path);
	must(
	    config_load(&(struct config_sources){ .file = path }, &loaded, error) == 0);
	again = config_print(&loaded);
	must(again != NULL && strcmp(text, again) == 0);
	config_finish(&loaded);
	close(fd);
	free(again);
	free(text);
}

/* Takes the overrides off the front of text. Returns what follows. */
static char *
take_overrides(char *text, const char **overrides)
{
	size_t count = 0;

	while (*text == '@' && count < OVERRIDES_MAX) {
		char *end = strchr(text, '\n');
		overrides[count++] = text + 1;
		if (end == NULL) {
			text += strlen(text);
			break;
		}
		*end = '\0';
		text = end + 1;
	}
	overrides[count] = NULL;
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *overrides[OVERRIDES_MAX + 1];
	char path[64], error[CONFIG_ERROR_MAX] = "";
	struct config_sources sources = { .file = path, .set = overrides };
	struct config config;
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	char *rest = take_overrides(text, overrides);
	int fd = make_file(rest, size - (size_t)(rest - text), path);
	if (rest == text + size)
		sources.file = NULL;
	if (config_load(&sources, &config, error) == 0) {
		check_round_trip(&config);
		config_finish(&config);
	} else {
		must(error[0] != '\0' && strchr(error, '\n') == NULL);
	}
	close(fd);
	free(text);
	return 0;
}
