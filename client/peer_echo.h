/* peer_echo.h - the peer of `yodel calibrate`: the least that an echo server can do. */
#ifndef CLIENT_PEER_ECHO_H
#define CLIENT_PEER_ECHO_H

#include <sys/types.h>

#include <stdint.h>

/* Forks it on a free port of 127.0.0.1. Its process id, or -1 with errno. */
pid_t peer_echo_start(uint16_t *ret_port);

/* Ends it and waits for it. */
void peer_echo_stop(pid_t pid);

#endif
