/*
 * cmd_calibrate.h - `yodel calibrate`: what this client can do at most on this machine,
 * against a peer that it brings itself and that does nothing but echo.
 */
#ifndef CLIENT_COMMANDS_CMD_CALIBRATE_H
#define CLIENT_COMMANDS_CMD_CALIBRATE_H

/* argv[0] is "calibrate". Returns the exit status. */
int cmd_calibrate(int argc, char **argv);

#endif
