/*
 * descriptors.h - system calls on descriptors that kernels of the supported systems, or
 * the filter of a container, may not have. Each falls back to older ones.
 */
#ifndef LIB_SYSTEM_DESCRIPTORS_H
#define LIB_SYSTEM_DESCRIPTORS_H

#include <sys/epoll.h>

#include <time.h>

/* Closes the descriptors from `first` to `last`, UINT_MAX for all from `first` on
 * (close_range(2), Linux 5.9). For a process with one thread. */
void descriptors_close(unsigned first, unsigned last);

/* epoll_wait(2) with a timeout in nanoseconds (epoll_pwait2(2), Linux 5.11). */
int descriptors_epoll_wait(
    int epoll_fd, struct epoll_event *events, int max, const struct timespec *timeout);

#endif
