/*
 * receive_time.h - how long received data waited in the socket before it was read: the
 * kernel notes the arrival of each segment (SO_TIMESTAMPNS, socket(7)).
 *
 * For a byte stream the time is that of the segment with the last byte read.
 */
#ifndef NET_RECEIVE_TIME_H
#define NET_RECEIVE_TIME_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

#define RECEIVE_TIME_UNKNOWN UINT64_MAX

/* From now on the kernel notes the arrival times of this socket. 0, or -1 with errno.
 */
int receive_time_enable(int fd);

/* A socket that keeps the time stamps of the kernel switched on until it is closed:
 * they are switched by the first and the last such socket of the machine, which is
 * slow. -1 with errno if there are none. */
int receive_time_hold(void);

/* As recv(2). *ret_waited_ns: time from the arrival of the last byte to the return of
 * the call; RECEIVE_TIME_UNKNOWN if the kernel has not noted it, or without data. */
ssize_t receive_time_recv(int fd, void *data, size_t size, uint64_t *ret_waited_ns);

#endif
