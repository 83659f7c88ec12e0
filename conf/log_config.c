#include "conf/log_config.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "lib/log.h"
#include "lib/printable.h"

int
log_config_apply(const struct config *config, char *error)
{
	int rc = config->log.syslog ? log_open_syslog(LOG_SYSLOG_PATH)
				    : log_open(config->log.file);
	if (rc < 0) {
		int saved = errno;
		char shown[PRINTABLE_TAIL_MAX];
		const char *path = config->log.syslog
		    ? LOG_SYSLOG_PATH
		    : printable_tail(config->log.file, shown, sizeof(shown));
		snprintf(error, CONFIG_ERROR_MAX, "cannot open the log %s: %s", path,
		    strerror(saved));
		return -1;
	}
	log_set_level(config->log.level);
	log_set_format(config->log.format);
	log_set_console(config->log.console);
	return 0;
}

void
log_config_restore(const struct config *config)
{
	char error[CONFIG_ERROR_MAX];
	if (log_config_apply(config, error) < 0)
		log_warnx("log: cannot return to the previous log: %s", error);
}
