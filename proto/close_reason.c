#include "proto/close_reason.h"

const struct close_reason_row close_reasons[] = {
#define X(id, name, help) { name, help },
	CLOSE_REASONS(X)
#undef X
};
