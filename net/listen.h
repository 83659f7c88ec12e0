/*
 * listen.h - who may still begin a connection to a listening TCP socket.
 */
#ifndef NET_LISTEN_H
#define NET_LISTEN_H

/* The kernel lets no new connection begin: SYNs are dropped (a client tries again a
 * second later, and meets who listens then), handshakes under way end as usual, the
 * accept queue stays. For before a queue is emptied. It is the socket's: every process
 * that shares it is concerned. 0, or -1 with errno (socket(7), SO_ATTACH_FILTER). */
int listen_block_new(int fd);
/* Undoes it; also where it was not done. */
void listen_accept_new(int fd);

#endif
