/*
 * replay.c - main() for one fuzz target without a fuzzer: feeds it each file named on
 * the command line, so that the corpus is a regression test under any compiler.
 */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* An exact copy, so that a sanitizer detects reads beyond it. */
static uint8_t *
read_file(const char *path, size_t *ret_size)
{
	uint8_t *data = NULL;
	FILE *file = fopen(path, "rb");
	long size;

	if (file == NULL)
		return NULL;
	if (fseek(file, 0, SEEK_END) == 0 && (size = ftell(file)) >= 0 &&
	    fseek(file, 0, SEEK_SET) == 0 && (data = malloc((size_t)size)) != NULL) {
		*ret_size = fread(data, 1, (size_t)size, file);
		if (*ret_size != (size_t)size) {
			free(data);
			data = NULL;
		}
	}
	fclose(file);
	return data;
}

int
main(int argc, char **argv)
{
	if (argc < 2) {
		fprintf(stderr, "%s: found no input, expected the files of a corpus\n",
		    argv[0]);
		return 64;
	}
	for (int i = 1; i < argc; i++) {
		size_t size;
		uint8_t *data = read_file(argv[i], &size);

		if (data == NULL) {
			perror(argv[i]);
			return 71;
		}
		LLVMFuzzerTestOneInput(data, size);
		free(data);
	}
	printf("%d inputs replayed\n", argc - 1);
	return 0;
}
