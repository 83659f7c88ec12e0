/* echo_peer.h - a minimal echo server in a child process, for `yodel calibrate`. */
#ifndef CLIENT_COMMANDS_ECHO_PEER_H
#define CLIENT_COMMANDS_ECHO_PEER_H

#include <sys/types.h>

#include <stdint.h>

/* Starts it on a free port of 127.0.0.1. Its process id, or -1 with errno. */
pid_t echo_peer_start(uint16_t *ret_port);

/* Kills the process and reaps it. */
void echo_peer_stop(pid_t pid);

#endif
