/*
 * cmd_compare.h - `yodel compare`: two results side by side, and whether a difference
 * is more than noise.
 *
 * Percentiles differ when their 95 % intervals (lib/stats/percentile_interval.h) do not
 * touch, which asks for more than 95 %; means by Welch's test over as many independent
 * values as the seconds show; the rate by Welch's test over the seconds; shares (lost,
 * wrong, failed) by the test of two proportions. What the samples cannot tell is said
 * to be not known.
 */
#ifndef CLIENT_COMMANDS_CMD_COMPARE_H
#define CLIENT_COMMANDS_CMD_COMPARE_H

/* argv[0] is "compare". 0, or 99 with --fail-worse when a figure is worse by more than
 * noise, or 64, 65 (no result), 66 (cannot be opened). */
int cmd_compare(int argc, char **argv);

#endif
