#include "master/changes/change.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/log.h"
#include "lib/printable.h"

const char *const change_names[] = { "reload", "scale", "upgrade", "rebalance",
	"stop" };

bool
change_can_start(struct change_log *log, enum change_kind kind, enum master_phase phase)
{
	if (phase == MASTER_RUNNING)
		return true;
	change_finish(log, kind, false, "%s refused: the server is %s",
	    change_names[kind], phase == MASTER_STARTING ? "starting" : "stopping");
	return false;
}

void
change_begin(const struct change_log *log, enum change_kind kind)
{
	log->before_change(kind, log->argument);
}

void
change_finish(struct change_log *log, enum change_kind kind, bool is_good,
    const char *format, ...)
{
	struct outcome *outcome = &log->last;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(outcome->text, sizeof(outcome->text), format, arguments);
	va_end(arguments);
	printable_sanitize(outcome->text);
	outcome->number++;
	outcome->kind = kind;
	outcome->is_good = is_good;
	if (is_good)
		log_info("%s", outcome->text);
	else
		log_errorx("%s", outcome->text);
	log->on_finished(outcome, log->argument);
}
