#include "client/probes/probes.h"
#include "client/survey/survey_ledger.h"

#define W PROBE_NEEDS_WITNESS
#define E PROBE_NEEDS_ECHO
#define A PROBE_NEEDS_ANSWERS
#define N PROBE_NEEDS_NOTHING

/* In the order in which they run: row, stage, needs; connections of a repetition and
 * once; seconds of a repetition and once; whether --repeat counts. */
/* clang-format off */
const struct survey_probe survey_probes[] = {
	{ SURVEY_reach,           PROBE_FIRST,  N, 0, 21, 0.F, 0.5F, false, false, NULL, probe_reach },
	{ SURVEY_before,          PROBE_FIRST,  W, 0, 0, 0.F, 0.F, false, false, NULL, NULL },
	{ SURVEY_server_first,    PROBE_FIRST,  W, 1, 0, 0.F, 0.1F, true, false, NULL, probe_server_first },

	{ SURVEY_idle,            PROBE_LADDER, N, 0, 0, 0.F, 0.F, false, false, "the time of its highest rung", NULL },
	{ SURVEY_half_closed,     PROBE_LADDER, W, 0, 0, 0.F, 0.F, false, false, "the time of its highest rung", NULL },
	{ SURVEY_keepalive,       PROBE_LADDER, N, 0, 0, 0.F, 0.F, false, false, "the time of the highest rung", NULL },
	{ SURVEY_life,            PROBE_LADDER, A, 0, 0, 0.F, 0.F, false, false, "the time of the highest rung", NULL },

	{ SURVEY_source,          PROBE_BESIDE, W, 0, 40, 0.F, 0.1F, false, false, NULL, probe_source },
	{ SURVEY_backends,        PROBE_BESIDE, W, 0, 0, 0.F, 0.F, false, false, "source; more local addresses (--source-ip) tell by what", NULL },
	{ SURVEY_syn,             PROBE_BESIDE, W, 0, 2, 0.F, 0.1F, false, false, NULL, probe_syn },
	{ SURVEY_hops,            PROBE_BESIDE, A, 0, 16, 0.F, 3.F, false, false, NULL, probe_hops },
	{ SURVEY_split,           PROBE_BESIDE, W, 1, 0, 1.4F, 0.F, true, false, NULL, probe_split },
	{ SURVEY_split_back,      PROBE_BESIDE, W, 3, 0, 1.5F, 0.F, true, false, NULL, probe_split_back },
	{ SURVEY_half_close,      PROBE_BESIDE, E, 1, 1, 0.2F, 3.F, true, false, NULL, probe_half_close },
	{ SURVEY_half_close_back, PROBE_BESIDE, W, 3, 0, 0.4F, 0.F, true, false, NULL, probe_half_close_back },
	{ SURVEY_reset,           PROBE_BESIDE, W, 3, 0, 0.2F, 0.F, true, false, NULL, probe_reset },
	{ SURVEY_reset_back,      PROBE_BESIDE, W, 1, 0, 0.2F, 0.F, true, false, NULL, probe_reset_back },
	{ SURVEY_big,             PROBE_BESIDE, E, 2, 24, 0.2F, 0.F, true, false, NULL, probe_big },
	{ SURVEY_payload,         PROBE_BESIDE, E, 0, 16, 0.F, 2.F, false, false, NULL, probe_payload },
	{ SURVEY_reuse,           PROBE_BESIDE, W, 0, 20, 0.F, 0.5F, false, false, NULL, probe_reuse },
	{ SURVEY_mapping,         PROBE_BESIDE, W, 0, 20, 0.F, 0.2F, false, false, "a second target", probe_mapping },

	{ SURVEY_concurrent,      PROBE_LIMITS, A, 0, 128, 0.F, 5.F, false, false, NULL, probe_concurrent },
	{ SURVEY_by_source,       PROBE_LIMITS, A, 0, 4, 0.F, 0.F, false, false, "a limit found by concurrent; two local addresses (--source-ip)", NULL },
	{ SURVEY_burst,           PROBE_LIMITS, N, 0, 50, 0.F, 5.F, false, true, NULL, probe_burst },
	{ SURVEY_rate,            PROBE_LIMITS, N, 0, 360, 0.F, 8.F, false, true, "a limit found by burst", probe_rate },
	{ SURVEY_load,            PROBE_LIMITS, W, 0, 4, 0.F, 1.F, false, true, "--load", probe_load },

	{ SURVEY_ledger,          PROBE_LAST,   N, 0, 10, 0.F, 2.F, false, false, "--ledger, and no other client", survey_ledger_probe },
	{ .row = SURVEY_ROW_COUNT },
};
/* clang-format on */
