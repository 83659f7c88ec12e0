/* cmd_merge.h - `yodel merge`: adds up the results of several machines, count by count.
 */
#ifndef CLIENT_COMMANDS_CMD_MERGE_H
#define CLIENT_COMMANDS_CMD_MERGE_H

/* argv[0] is "merge". Returns the exit status of the merged result, or 64, 65 (a file
 * is not a result, or its plan differs), 66 (cannot be opened), 71. */
int cmd_merge(int argc, char **argv);

#endif
