#include "client/survey_result/bracket.h"

const char *const bracket_fate_names[] = { "unknown", "alive", "silence", "rst",
	"fin" };

static bool
is_dead(const struct bracket_trial *trial)
{
	return trial->fate > BRACKET_ALIVE;
}

/* The earliest death decides how the path ends a connection. */
static void
find_bounds(const struct bracket_trial *trials, size_t count, struct bracket *ret)
{
	for (size_t i = 0; i < count; i++) {
		const struct bracket_trial *t = &trials[i];
		if (t->fate == BRACKET_ALIVE) {
			ret->alive++;
			if (t->idle_s > ret->alive_s)
				ret->alive_s = t->idle_s;
		} else if (is_dead(t)) {
			if (ret->dead++ == 0 || t->idle_s < ret->dead_s) {
				ret->dead_s = t->idle_s;
				ret->fate = t->fate;
				ret->unasked = t->unasked;
			}
		}
	}
}

struct bracket
bracket_of(const struct bracket_trial *trials, size_t count)
{
	struct bracket ret = { .fate = BRACKET_ALIVE };
	double below_s = 0;
	find_bounds(trials, count, &ret);
	if (ret.dead == 0)
		return ret;
	for (size_t i = 0; i < count; i++) {
		const struct bracket_trial *t = &trials[i];
		if (is_dead(t) && t->fate != ret.fate)
			ret.is_mixed = true;
		if (t->unasked && is_dead(t) && ret.unasked &&
		    t->idle_s > ret.dead_s * (1 + BRACKET_TOLERANCE))
			ret.is_unclear = true;
		if (t->fate == BRACKET_ALIVE && t->idle_s < ret.dead_s &&
		    t->idle_s > below_s)
			below_s = t->idle_s;
	}
	if (ret.alive_s > ret.dead_s * BRACKET_SLACK + BRACKET_SLACK_S) {
		ret.is_unclear = true;
		return ret;
	}
	ret.alive_s = below_s;
	return ret;
}
