/*
 * The configuration, from the text of a file to the struct. Leading lines that start
 * with "@" are --set overrides, those with "+" are --listen, the rest is the file. An
 * accepted configuration is printed as text that loads to the same; an error is one
 * line.
 */
#include <sys/mman.h>

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "conf/config.h"

#define OPTIONS_MAX 8

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

/* The options of the command line. */
struct options {
	const char *set[OPTIONS_MAX + 1], *listen[OPTIONS_MAX + 1];
	size_t set_count, listen_count;
};

/* Parses the options at the front of text; returns the rest. */
static char *
take_options(char *text, struct options *ret)
{
	memset(ret, 0, sizeof(*ret));
	while (*text == '@' || *text == '+') {
		size_t *count = *text == '@' ? &ret->set_count : &ret->listen_count;
		const char **options = *text == '@' ? ret->set : ret->listen;
		char *end = strchr(text, '\n');

		if (*count == OPTIONS_MAX)
			break;
		options[(*count)++] = text + 1;
		if (end == NULL)
			return text + strlen(text);
		*end = '\0';
		text = end + 1;
	}
	return text;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[64], error[CONFIG_ERROR_MAX] = "";
	struct options options;
	struct config config;
	char *text = malloc(size + 1);

	if (text == NULL)
		return 0;
	if (size > 0)
		memcpy(text, data, size);
	text[size] = '\0';
	char *rest = take_options(text, &options);
	int fd = make_file(rest, size - (size_t)(rest - text), path);
	struct config_sources sources = { .file = rest == text + size ? NULL : path,
		.set = options.set,
		.listen = options.listen_count > 0 ? options.listen : NULL };
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
