#include "client/result/result_file.h"

#include <string.h>
#include <sysexits.h>

#include "lib/log.h"

int
result_file_load(const char *path, struct result *ret)
{
	FILE *file = strcmp(path, "-") == 0 ? stdin : fopen(path, "re");
	char error[RESULT_ERROR_MAX];
	int status;

	if (file == NULL) {
		log_error("%s", path);
		return EX_NOINPUT;
	}
	status = result_read_json(file, ret, error);
	if (file != stdin)
		fclose(file);
	if (status == 0)
		return 0;
	log_errorx("%s: %s", path, error);
	return EX_DATAERR;
}
