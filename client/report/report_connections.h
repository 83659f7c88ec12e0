/* report_connections.h - the part of the text report that tells of connections. */
#ifndef CLIENT_REPORT_REPORT_CONNECTIONS_H
#define CLIENT_REPORT_REPORT_CONNECTIONS_H

#include <stdio.h>

#include "client/result/result.h"

#define REPORT_TEXT_LABEL "  %-12s " /* before each line of the report */

/* How many were made and failed, which target failed, what ports they held. */
void report_connections(const struct result *result, FILE *file);

#endif
