/* cmd_merge.h - `yodel merge`: results of several machines become one, exactly. */
#ifndef CLIENT_COMMANDS_CMD_MERGE_H
#define CLIENT_COMMANDS_CMD_MERGE_H

/* argv[0] is "merge". The exit status of the merged result, or 64, 65 (a file is no
 * result, or none that goes with the others), 66 (cannot be opened), 71. */
int cmd_merge(int argc, char **argv);

#endif
