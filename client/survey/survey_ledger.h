/*
 * survey_ledger.h - the row "ledger": what the counters of a yodeld that is not a
 * witness say of connections that were reset and closed on purpose. No other client may
 * use it meanwhile.
 */
#ifndef CLIENT_SURVEY_SURVEY_LEDGER_H
#define CLIENT_SURVEY_SURVEY_LEDGER_H

#include "client/probes/survey_state.h"

/* Reads the counters once, so that a wrong address is found before the survey. 0, or 69
 * after one line on stderr. */
int survey_ledger_check(const struct survey_plan *plan)
    __attribute__((warn_unused_result));

void survey_ledger_probe(struct survey *survey);

#endif
