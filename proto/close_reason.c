#include "proto/close_reason.h"

static const struct {
	const char *name;
	const char *help;
} rows[CLOSE_REASON_COUNT] = {
#define X(id, name, help) { name, help },
	CLOSE_REASONS(X)
#undef X
};

const char *
close_reason_name(enum close_reason reason)
{
	return rows[reason].name;
}

const char *
close_reason_help(enum close_reason reason)
{
	return rows[reason].help;
}
