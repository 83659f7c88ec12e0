/*
 * cmd_calibrate.h - `yodel calibrate`: the highest rate and the pacing accuracy of the
 * client on this machine, measured against a minimal echo server of its own.
 */
#ifndef CLIENT_COMMANDS_CMD_CALIBRATE_H
#define CLIENT_COMMANDS_CMD_CALIBRATE_H

/* argv[0] is "calibrate". Returns the exit status. */
int cmd_calibrate(int argc, char **argv);

#endif
