#include "client/plan/plan_refuse.h"

#include <stdarg.h>
#include <stdio.h>
#include <sysexits.h>

#include "client/plan/plan.h"

int
plan_refuse(char *error, const char *format, ...)
{
	va_list arguments;
	va_start(arguments, format);
	vsnprintf(error, PLAN_ERROR_MAX, format, arguments);
	va_end(arguments);
	return EX_USAGE;
}
