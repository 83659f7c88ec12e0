#include "client/collect/collect_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/printable.h"
#include "lib/xmalloc.h"

#define SHOWN_TEXT_MAX 200 /* bytes of a command line operand */

/* Describes what is sent. */
static char *
message_text(const struct plan *plan)
{
	unsigned long long min = plan->size_min, max = plan->size_max;
	const char *given = plan->file != NULL ? plan->file
	    : plan->texts.count > 0            ? plan->texts.items[0]
					       : "";
	char shown[SHOWN_TEXT_MAX];
	if (plan->conversation_file != NULL)
		given = plan->conversation_file;
	printable_escape(given, shown, sizeof(shown));
	if (plan->conversation_file != NULL)
		return xasprintf("conversation %s", shown);
	if (plan->payload && min == max)
		return xasprintf("seeded payload of %llu bytes", min);
	if (plan->payload)
		return xasprintf("seeded payload of %llu to %llu bytes", min, max);
	if (plan->file != NULL && strcmp(plan->file, "-") == 0)
		return xstrdup("lines of stdin");
	if (plan->file != NULL)
		return xasprintf("file %s", shown);
	if (plan->texts.count == 0)
		return xstrdup("the three default messages");
	if (plan->texts.count == 1)
		return xasprintf("\"%s\"", shown);
	return xasprintf("%u messages, \"%s\" first", plan->texts.count, shown);
}

/* Says what the default messages cannot show. */
static char *
plan_message_text(const struct plan *plan)
{
	char *text = message_text(plan);
	bool is_default = !plan->payload && plan->file == NULL &&
	    plan->texts.count == 0 && plan->conversation_file == NULL;
	if (!is_default || plan->connections < 2)
		return text;
	char *all = xasprintf(
	    "%s, the same on all connections (answers to another connection are not noticed; see --size)",
	    text);
	free(text);
	return all;
}

/* The texts with commas between them; heap. */
static char *
join(const struct option_list *texts)
{
	char *all = xstrdup("");
	for (uint32_t i = 0; i < texts->count; i++) {
		char *longer =
		    xasprintf("%s%s%s", all, i == 0 ? "" : ",", texts->items[i]);
		free(all);
		all = longer;
	}
	return all;
}

/* From the first process that has established a connection. */
static char *
granted_options(const struct plan *plan, const struct counters_map *counters_map)
{
	char out[SOCKET_OPTIONS_TEXT_MAX] = "";
	const struct counters *from = NULL;
	size_t used = 0;
	for (uint32_t i = 0; i < counters_map->count && from == NULL; i++) {
		const struct counters *one = counters_map_at(counters_map, i);
		if (atomic_load_explicit(&one->are_granted_known, memory_order_acquire))
			from = one;
	}
	for (int i = 0; i < SOCKET_OPTION_COUNT && from != NULL; i++) {
		enum socket_option option = (enum socket_option)i;
		if (!socket_option_is_given(&plan->sockets, option))
			continue;
		int n = snprintf(out + used, sizeof(out) - used, "%s%s=%s",
		    used > 0 ? " " : "", socket_option_name(option), from->granted[i]);
		used += (size_t)n < sizeof(out) - used ? (size_t)n : 0;
	}
	return xstrdup(out);
}

void
collect_plan(const struct plan *plan, const struct counters_map *counters_map,
    struct result_plan *ret)
{
	ret->targets = xcalloc(plan->target_count, sizeof(ret->targets[0]));
	for (uint32_t i = 0; i < plan->target_count; i++)
		ret->targets[ret->target_count++] = xstrdup(plan->targets[i].text);
	ret->load = xstrdup(plan_load_names[plan->load]);
	ret->message = plan_message_text(plan);
	ret->conversation =
	    xstrdup(plan->conversation_file != NULL ? plan->conversation_file : "");
	ret->conversation_digest = plan->conversation_file == NULL
	    ? xstrdup("")
	    : xasprintf("%016llx", (unsigned long long)plan->conversation.digest);
	ret->expect = xstrdup(plan->expect_text != NULL ? plan->expect_text : "auto");
	ret->framing = xstrdup(framing_names[plan->framing]);
	ret->arrivals = xstrdup(plan_arrivals_names[plan->arrivals]);
	ret->close = xstrdup(plan_close_names[plan->close]);
	char options[SOCKET_OPTIONS_TEXT_MAX];
	ret->socket_options =
	    xstrdup(socket_options_format(&plan->sockets, -1, options));
	ret->socket_options_granted = granted_options(plan, counters_map);
	ret->proxy_protocol = xstrdup(plan_proxy_names[plan->proxy_version]);
	ret->proxy_source =
	    xstrdup(plan->proxy_source_text != NULL ? plan->proxy_source_text : "");
	ret->proxy_tlvs = join(&plan->proxy_tlv_texts);
	ret->tls_verification =
	    xstrdup(plan->tls_verification != NULL ? plan->tls_verification : "");
	ret->seed = plan->seed;
	ret->rate = plan->rate_all;
	ret->connect_rate = plan->connect_rate_all;
#define X(name, how) ret->name = plan->name;
	RESULT_PLAN_COUNTS(X) RESULT_PLAN_FLAGS(X)
#undef X
}
