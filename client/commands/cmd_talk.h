/*
 * cmd_talk.h - `yodel talk`: sends each line of stdin and prints received bytes as they
 * arrive. On a terminal it shows a prompt; the terminal edits the line.
 */
#ifndef CLIENT_COMMANDS_CMD_TALK_H
#define CLIENT_COMMANDS_CMD_TALK_H

/* argv[0] is "talk". Returns the exit status: 0 when the input ended and all replies
 * were read (half-close, then up to the peer's close), 1 when the connection failed or
 * was lost, 64 usage, 71 system error. */
int cmd_talk(int argc, char **argv);

#endif
