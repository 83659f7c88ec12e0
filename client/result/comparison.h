/*
 * comparison.h - the runs of a side, "base", against those of another, "new".
 *
 * A row differs if the 95 % intervals of both sides do not overlap, which is stricter
 * than 95 %: of some twenty rows of equal sides, at most one comparison in twenty is to
 * show a difference. A side of several runs is judged by the variation between its runs
 * (Student's t), a single run by that within it (lib/stats/batches.h) and an assumed
 * variation between runs. Where the
 * samples cannot tell, the row is inconclusive; so are differences below a factor of
 * ten if a side has a single run whose load processes had to wait for a CPU.
 */
#ifndef CLIENT_RESULT_COMPARISON_H
#define CLIENT_RESULT_COMPARISON_H

#include <stdbool.h>
#include <stddef.h>

#include "client/result/result.h"

#define COMPARISON_ROWS_MAX (44 + 5 * (LATENCY_MAX - LATENCY_STEP_FIRST))

enum comparison_outcome {
	COMPARISON_INCONCLUSIVE,
	COMPARISON_NOISE,
	COMPARISON_BETTER,
	COMPARISON_WORSE
};
extern const char *const comparison_outcome_names[];

enum comparison_unit { COMPARISON_DURATION, COMPARISON_COUNT, COMPARISON_EVENTS };

/* A figure of a side and its 95 % interval. Durations are in ns. */
struct comparison_estimate {
	double value, low, high;
	double run_part;   /* by how much a single run may differ from another */
	bool known;        /* the figure itself */
	bool has_interval; /* else the bounds mean nothing */
};

struct comparison_row {
	char name[48];
	enum comparison_unit unit;
	bool needs_runs; /* single runs are not judged */
	struct comparison_estimate base, new;
	enum comparison_outcome outcome;
};

/* At least one run. */
struct comparison_side {
	struct result *runs;
	size_t count;
};

/* True if the side is a single run whose load processes had to wait for a CPU. */
bool comparison_is_contended(const struct comparison_side *side);

/* Compares sides[0], the base, with sides[1]. Returns the number of rows. */
size_t comparison_of(const struct comparison_side sides[2],
    struct comparison_row rows[COMPARISON_ROWS_MAX]);

#endif
