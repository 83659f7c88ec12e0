#include "net/tls/tls_failure.h"

#include <stddef.h>

const char *const tls_failure_names[] = {
#define X(constant, name) name,
	TLS_FAILURES(X)
#undef X
	    NULL
};
