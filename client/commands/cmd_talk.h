/*
 * cmd_talk.h - `yodel talk`: a prompt. Each line typed is sent, what comes back is
 * printed as it comes. Line editing is the terminal's; a pipe on stdin works the same,
 * without a prompt.
 */
#ifndef CLIENT_COMMANDS_CMD_TALK_H
#define CLIENT_COMMANDS_CMD_TALK_H

/* argv[0] is "talk". The exit status: 0 when the input ended and everything owed was
 * read (half-close, then to the peer's end), 1 when the connection could not be made or
 * was lost, 64 usage, 71 system. */
int cmd_talk(int argc, char **argv);

#endif
