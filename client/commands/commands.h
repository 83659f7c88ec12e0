/*
 * commands.h - the commands of yodel: one function and one file each.
 *
 * argv[0] is the name of the command. Each returns the exit status of the program, or
 * ends the process with 64 on a usage error.
 */
#ifndef CLIENT_COMMANDS_COMMANDS_H
#define CLIENT_COMMANDS_COMMANDS_H

/* The default: one load run, or with --search the highest rate. */
int cmd_run(int argc, char **argv);

/* Sends each line of stdin and prints received bytes as they arrive. 0 when the input
 * ended and all replies were read (half-close, then up to the peer's close), 1 when the
 * connection failed or was lost, 71 on a system error. */
int cmd_talk(int argc, char **argv);

/* Adds up the results of several machines, count by count. The exit status of the
 * merged result, or 65 (a file is not a result, or its plan differs), 66 (cannot be
 * opened), 71.
 */
int cmd_merge(int argc, char **argv);

/* Shows two results side by side, and whether a difference is more than noise. 0, 99
 * (--fail-worse and a row is worse by more than noise), 65 or 66. */
int cmd_compare(int argc, char **argv);

/* Shows the figures of many results over time. 0, 99 (--fail-worse and the latest run
 * is worse by more than noise), 65, 66 or 71. */
int cmd_trend(int argc, char **argv);

/* Makes a page or a text report of a JSON result. 0, 65, 66 or 71. */
int cmd_report(int argc, char **argv);

/* Compiles a conversation file and shows both sides. 0, 64 (a mistake in it), 66 (it
 * cannot be read) or 71. */
int cmd_check(int argc, char **argv);

/* Asks a path what it does to connections. 0, 1 (it could not be surveyed), 2 (it
 * changed bytes), 99 (a threshold failed), 64, 69 or 71. */
int cmd_survey(int argc, char **argv);

/* Measures the highest rate and the pacing accuracy of this machine's client, against
 * an echo server of its own. */
int cmd_calibrate(int argc, char **argv);

#endif
