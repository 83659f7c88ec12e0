#include "net/tls/tls_alert.h"

const char *
tls_alert_name(unsigned alert)
{
	switch (alert) {
#define X(constant, number, name)                                                      \
	case TLS_ALERT_##constant:                                                     \
		return name;
		TLS_ALERTS(X)
#undef X
	default:
		return "unknown";
	}
}
