#include "master/changes/change.h"

#include <stdarg.h>
#include <stdio.h>

#include "lib/log.h"
#include "lib/printable.h"

const char *const change_names[] = { "reload", "scale", "upgrade", "rebalance",
	"stop" };

struct change
change_request(struct change_log *log, enum change_kind kind)
{
	uint64_t number = ++log->last_request;
	return (struct change){ kind, number, number };
}

void
change_join(struct change *change, const struct change *request)
{
	change->last_request = request->last_request;
}

bool
change_serves(const struct change *change, enum change_kind kind, uint64_t request)
{
	return kind == change->kind && request >= change->first_request &&
	    request <= change->last_request;
}

bool
change_can_start(
    struct change_log *log, const struct change *change, enum master_phase phase)
{
	if (phase == MASTER_RUNNING)
		return true;
	change_finish(log, change, false, "%s refused: the server is %s",
	    change_names[change->kind],
	    phase == MASTER_STARTING ? "starting" : "stopping");
	return false;
}

void
change_begin(const struct change_log *log, enum change_kind kind)
{
	log->before_change(kind, log->argument);
}

void
change_finish(struct change_log *log, const struct change *change, bool is_good,
    const char *format, ...)
{
	struct outcome *outcome = &log->last;
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(outcome->text, sizeof(outcome->text), format, arguments);
	va_end(arguments);
	printable_sanitize(outcome->text);
	outcome->number++;
	outcome->change = *change;
	outcome->is_good = is_good;
	if (is_good)
		log_info("[change_finished change reason] %.0s%s",
		    change_names[change->kind], outcome->text);
	else
		log_errorx("[change_failed change reason] %.0s%s",
		    change_names[change->kind], outcome->text);
	log->on_finished(outcome, log->argument);
}
