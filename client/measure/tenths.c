#include "client/measure/tenths.h"

#include <stdlib.h>

#include "lib/xmalloc.h"

#define SHORTEST_S 0.05 /* a shorter row becomes part of the one before it */

static void
join(struct sampler_second *to, const struct sampler_second *from)
{
	to->length_s += from->length_s;
	to->connections_open = from->connections_open;
	to->sent += from->sent;
	to->verified += from->verified;
	to->wrong += from->wrong;
	to->lost += from->lost;
	to->connections_lost += from->connections_lost;
}

void
tenths_add(struct tenths *tenths, const struct sampler_second *row)
{
	struct tenths_second *now = &tenths->now;
	bool is_short = row->length_s < SHORTEST_S || now->count == TENTHS_PER_SECOND;
	if (now->count > 0 && is_short)
		join(&now->rows[now->count - 1], row);
	else
		now->rows[now->count++] = *row;
}

static void
keep(struct tenths *tenths, struct tenths_second *second)
{
	if (second->is_kept || tenths->count + second->count > TENTHS_MAX)
		return;
	second->is_kept = true;
	if (tenths->count + second->count > tenths->room) {
		tenths->room = 2 * tenths->room + 4 * (size_t)TENTHS_PER_SECOND;
		tenths->rows =
		    xreallocarray(tenths->rows, tenths->room, sizeof(tenths->rows[0]));
	}
	for (size_t i = 0; i < second->count; i++)
		tenths->rows[tenths->count++] = second->rows[i];
}

void
tenths_end_second(struct tenths *tenths)
{
	bool has_event = false;
	for (size_t i = 0; i < tenths->now.count; i++)
		has_event = has_event || sampler_second_has_event(&tenths->now.rows[i]);
	if (has_event)
		keep(tenths, &tenths->before);
	if (has_event || tenths->had_event)
		keep(tenths, &tenths->now);
	tenths->before = tenths->now;
	tenths->now = (struct tenths_second){ .count = 0 };
	tenths->had_event = has_event;
}

void
tenths_finish(struct tenths *tenths)
{
	free(tenths->rows);
	*tenths = (struct tenths){ .rows = NULL };
}
