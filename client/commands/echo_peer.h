/* echo_peer.h - the peer of `yodel calibrate`: the least that an echo server can do. */
#ifndef CLIENT_COMMANDS_ECHO_PEER_H
#define CLIENT_COMMANDS_ECHO_PEER_H

#include <sys/types.h>

#include <stdint.h>

/* Forks it on a free port of 127.0.0.1. Its process id, or -1 with errno. */
pid_t echo_peer_start(uint16_t *ret_port);

/* Ends it and waits for it. */
void echo_peer_stop(pid_t pid);

#endif
