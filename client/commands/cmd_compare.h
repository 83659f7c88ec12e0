/*
 * cmd_compare.h - `yodel compare`: two results side by side, and whether a difference
 * is more than noise.
 *
 * Percentiles differ if their 95 % intervals (lib/stats/percentile_interval.h) do not
 * overlap, which is stricter than 95 %. Means are compared by Welch's test with the
 * effective sample size, the rate by Welch's test over the seconds, shares (lost,
 * wrong, failed) by the test of two proportions. Where the samples cannot tell, the row
 * is "inconclusive".
 */
#ifndef CLIENT_COMMANDS_CMD_COMPARE_H
#define CLIENT_COMMANDS_CMD_COMPARE_H

/* argv[0] is "compare". Returns 0, 99 (--fail-worse and a row is worse by more than
 * noise), 64, 65 (not a result) or 66 (cannot be opened). */
int cmd_compare(int argc, char **argv);

#endif
