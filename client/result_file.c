#include "client/result_file.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>

int
result_file_load(const char *command, const char *path, struct result *ret)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char error[RESULT_ERROR_MAX];
	int status;

	if (file == NULL) {
		fprintf(stderr, "yodel %s: %s: %s\n", command, path, strerror(errno));
		return EX_NOINPUT;
	}
	status = result_read_json(file, ret, error);
	if (file != stdin)
		fclose(file);
	if (status == 0)
		return 0;
	fprintf(stderr, "yodel %s: %s: %s\n", command, path, error);
	return EX_DATAERR;
}
