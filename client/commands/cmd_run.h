/* cmd_run.h - the default command: one load run, or with --search the highest rate. */
#ifndef CLIENT_COMMANDS_CMD_RUN_H
#define CLIENT_COMMANDS_CMD_RUN_H

/* argv[0] is the name in error messages. Returns the exit status. */
int cmd_run(int argc, char **argv);

#endif
