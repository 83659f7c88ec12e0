#include "master/logging.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/log.h"

int
logging_apply(const struct config *config, int verbose, char *error)
{
	int rc = config->log.syslog ? log_open_syslog(LOG_SYSLOG_PATH)
				    : log_open(config->log.file);
	if (rc < 0) {
		snprintf(error, CONFIG_ERROR_MAX, "cannot open the log %s: %s",
		    config->log.syslog ? "of the system" : config->log.file,
		    strerror(errno));
		return -1;
	}
	log_set_level(verbose > 0 ? LOG_LEVEL_DEBUG : config->log.level);
	log_set_format(config->log.format);
	log_set_console(config->log.console);
	return 0;
}

void
logging_restore(const struct master *master)
{
	char error[CONFIG_ERROR_MAX];
	if (logging_apply(&master->config, master->verbose, error) < 0)
		log_warnx("the new log stays: %s", error);
}
