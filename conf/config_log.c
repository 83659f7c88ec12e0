#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/printable.h"
#include "conf/config.h"

static int
fail_log(const char *file, char *error)
{
	int saved = errno;
	char shown[PRINTABLE_TAIL_MAX];
	snprintf(error, CONFIG_ERROR_MAX, "cannot open the log %s: %s",
	    printable_tail(file, shown, sizeof(shown)), strerror(saved));
	return -1;
}

/* A unit makes such a folder for its user when it starts. */
static bool
is_in_folder_of_unit(const char *path)
{
	return strncmp(path, "/run/", 5) == 0 || strncmp(path, "/var/log/", 9) == 0;
}

int
config_check_log(const struct config *config, char *error)
{
	const char *file = config->log.file;
	const char *slash = file == NULL ? NULL : strrchr(file, '/');
	char folder[PATH_MAX];
	struct stat st;
	if (slash == NULL)
		return 0;
	int rc = faccessat(AT_FDCWD, file, W_OK, AT_EACCESS);
	if (rc == 0 && stat(file, &st) == 0 && S_ISDIR(st.st_mode)) {
		errno = EISDIR;
		rc = -1;
	} else if (rc < 0 && errno == ENOENT) {
		snprintf(folder, sizeof(folder), "%.*s/", (int)(slash - file), file);
		rc = faccessat(AT_FDCWD, folder, W_OK | X_OK, AT_EACCESS);
		if (rc < 0 && errno == ENOENT && is_in_folder_of_unit(file))
			rc = 0;
	}
	return rc < 0 ? fail_log(file, error) : 0;
}

int
config_open_log(const struct config *config, char *error)
{
	int rc = config->log.syslog ? log_open_syslog(LOG_SYSLOG_PATH)
				    : log_open(config->log.file);
	if (rc < 0)
		return fail_log(
		    config->log.syslog ? LOG_SYSLOG_PATH : config->log.file, error);
	log_set_level(config->log.level);
	log_set_format(config->log.format);
	log_set_console(config->log.console);
	return 0;
}
