/* report_servers.h - what replies of whoami say, in lines that the text report and the
 * page share. Each function writes one line into out[REPORT_LINE_MAX] and returns it;
 * "" if there is nothing to say. */
#ifndef CLIENT_REPORT_REPORT_SERVERS_H
#define CLIENT_REPORT_REPORT_SERVERS_H

#include "client/report/report_line.h"
#include "client/result/result.h"

#define REPORT_SERVERS_SHOWN 16

/* Whether the servers see the addresses of this client, or how they are translated. */
const char *report_servers_translation(const struct result *result, char *out);

/* The connections of one server; index below result->server_count. */
const char *report_servers_server(const struct result *result, size_t index, char *out);

/* Whether a fair balancer spreads connections like that, and whether those that were
 * opened again reached the same server. Without whoami the servers are those of
 * --ledger. */
const char *report_servers_spread(const struct result *result, char *out);

#endif
