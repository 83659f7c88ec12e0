#include "master/workers/former_config.h"

#include <stdlib.h>

const struct config *
former_config_find(const struct config_set *set, uint32_t number)
{
	if (number == set->number)
		return &set->current;
	if (number + 1 == set->number)
		return &set->previous;
	const struct former_config *former = set->former;
	while (former != NULL && former->number != number)
		former = former->next;
	return former == NULL ? NULL : &former->config;
}

uint32_t
former_config_number(const struct config_set *set, const struct config *config)
{
	for (const struct former_config *f = set->former; f != NULL; f = f->next) {
		if (config == &f->config)
			return f->number;
	}
	if (config == &set->previous)
		return set->number - 1;
	return set->number + (config == &set->current ? 0 : 1);
}

static bool
is_config_used(const struct worker_table *table, uint32_t number)
{
	const struct process *p = table->processes;
	while (p != NULL && p->config_number != number)
		p = p->next;
	return p != NULL;
}

void
former_config_keep_previous(struct config_set *set)
{
	struct former_config *former = calloc(1, sizeof(*former));
	if (former == NULL) {
		config_finish(&set->previous);
		return;
	}
	*former = (struct former_config){
		.next = set->former, .number = set->number - 1, .config = set->previous
	};
	set->former = former;
}

void
former_config_release(struct worker_table *table)
{
	struct former_config **at = &table->config->former;
	while (*at != NULL) {
		struct former_config *former = *at;
		if (is_config_used(table, former->number)) {
			at = &former->next;
			continue;
		}
		*at = former->next;
		config_finish(&former->config);
		free(former);
	}
}
