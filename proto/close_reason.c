#include "proto/close_reason.h"

const struct close_reason_row close_reasons[] = {
#define X(id, name, has_closed, help) { name, help, has_closed },
	CLOSE_REASONS(X)
#undef X
};
