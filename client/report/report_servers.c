#include "client/report/report_servers.h"

#include <string.h>

#include "lib/printable.h"
#include "lib/stats/chi_square.h"
#include "lib/units.h"
#include "client/result/servers.h"

#define SHOWN_ADDRESSES 3
#define SMALLEST 0.0001 /* probability that is shown as such */

/* Unix sockets have no address and port. */
static bool
has_addresses(const struct result *result)
{
	for (size_t i = 0; i < result->plan.target_count; i++)
		if (strncmp(result->plan.targets[i], "unix:", strlen("unix:")) != 0)
			return true;
	return false;
}

const char *
report_servers_translation(const struct result *result, char *out)
{
	const struct result_whoami *whoami = &result->whoami;
	struct report_line line = report_line_start(out);
	char all[UNITS_TEXT_MAX], some[UNITS_TEXT_MAX];
	units_show_count(whoami->connections, all);
	if (whoami->connections == 0)
		return out;
	if (whoami->headers > 0)
		report_line_add(&line,
		    "%s of %s connections announced by a PROXY header",
		    units_show_count(whoami->headers, some), all);
	if (!has_addresses(result))
		return out;
	if (whoami->translated == 0) {
		report_line_add(&line,
		    "the server saw this client's own address and port on all %s connections",
		    all);
		return out;
	}
	report_line_add(&line, "%s of %s connections translated",
	    units_show_count(whoami->translated, some), all);
	report_line_add(&line, "%s outside address%s",
	    units_show_count(whoami->outside_addresses, some),
	    whoami->outside_addresses == 1 ? "" : "es");
	line.separator = " ";
	for (size_t i = 0; i < result->outside_count && i < SHOWN_ADDRESSES; i++) {
		report_line_add(
		    &line, "%s%.64s", i == 0 ? "(" : "", result->outside[i].address);
		line.separator = ", ";
	}
	line.separator = "";
	report_line_add(&line, "%s",
	    result->outside_count > SHOWN_ADDRESSES ? ", ...)"
		: result->outside_count > 0         ? ")"
						    : "");
	line.separator = ", ";
	report_line_add(
	    &line, "port kept on %s", units_show_count(whoami->ports_kept, some));
	if (whoami->shared_ports > 0)
		report_line_add(&line,
		    "%s connection%s had the outside port of another one at the same time",
		    units_show_count(whoami->shared_ports, some),
		    report_line_plural(whoami->shared_ports));
	printable_sanitize(out);
	return out;
}

const char *
report_servers_server(const struct result *result, size_t index, char *out)
{
	const struct result_server *server = &result->servers[index];
	struct report_line line = report_line_start(out);
	char texts[3][UNITS_TEXT_MAX];
	report_line_add(&line, "%.64s: %s connection%s", server->name,
	    units_show_count(server->connections, texts[0]),
	    report_line_plural(server->connections));
	report_line_add(&line, "%s message%s",
	    units_show_count(server->messages, texts[1]),
	    report_line_plural(server->messages));
	report_line_add(&line, "%s lost", units_show_count(server->lost, texts[2]));
	printable_sanitize(out);
	return out;
}

static void
add_fairness(struct report_line *line, double probability)
{
	if (probability < SMALLEST)
		report_line_add(line,
		    "a fair balancer spreads connections like this with a probability below 0.01 %%");
	else
		report_line_add(line,
		    "a fair balancer spreads connections like this, or less evenly, with a probability of %.3g %%",
		    probability * 100);
}

const char *
report_servers_spread(const struct result *result, char *out)
{
	const struct result_whoami *whoami = &result->whoami;
	const struct reconciliation *ledger = &result->ledger;
	struct report_line line = report_line_start(out);
	uint64_t counts[RESULT_SERVERS_MAX];
	char stayed[UNITS_TEXT_MAX], all[UNITS_TEXT_MAX];
	size_t n = 0;
	for (; result->has_ledger && n < ledger->server_count && n < RESULT_SERVERS_MAX;
	     n++)
		counts[n] = ledger->servers[n].connections_accepted;
	if (result->server_count > 1)
		add_fairness(&line, servers_fairness(result));
	else if (result->server_count == 0 && n > 1)
		add_fairness(&line, chi_square_fair(counts, n));
	if (whoami->reconnected > 0 && result->server_count > 1)
		report_line_add(&line,
		    "%s of %s reopened connections reached the same server",
		    units_show_count(whoami->stayed, stayed),
		    units_show_count(whoami->reconnected, all));
	return out;
}
