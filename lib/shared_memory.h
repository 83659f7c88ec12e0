/*
 * shared_memory.h - memory shared between processes, in which each page has one writer.
 *
 * The memory is an anonymous file (memfd_create(2)). Its creator holds the descriptor
 * and forks the other processes; each of them maps what it needs and closes the
 * descriptor:
 *
 *   creator:
 *     fd = shared_memory_create()
 *     shared_memory_map(fd, all pages, SHARED_MEMORY_READ)
 *   child:
 *     shared_memory_map(fd, own pages, SHARED_MEMORY_WRITE)
 *     shared_memory_make_read_only() for what it inherited writable
 *     close(fd), then its sandbox
 *
 * Without the descriptor a process can write through its own writable mapping alone:
 * - A read-only mapping is made from the file opened again with O_RDONLY, so that the
 *   kernel refuses to make it writable (mprotect(2): EACCES).
 * - Where /proc is not mounted, the file cannot be opened again. Then the seccomp
 *   filter of the process must deny mprotect(2) with PROT_WRITE
 * (worker/limits/sandbox.c does).
 *
 * A writable mapping is inherited by fork(2): a child that must not write calls
 * shared_memory_make_read_only() first. Offsets and lengths are whole pages.
 */
#ifndef LIB_SHARED_MEMORY_H
#define LIB_SHARED_MEMORY_H

#include <stddef.h>

enum shared_memory_access { SHARED_MEMORY_READ, SHARED_MEMORY_WRITE };

/* A part of the memory. */
struct shared_memory_range {
	size_t offset, bytes;
};

/* Rounds up to whole pages. */
size_t shared_memory_round(size_t bytes);

/* Returns a descriptor (close-on-exec) of `bytes` of zeroed memory, or -1 with errno.
 * `name` is shown in /proc/PID/maps. Untouched pages take no memory. */
int shared_memory_create(const char *name, size_t bytes)
    __attribute__((warn_unused_result));
/* The size in bytes, 0 if it cannot be read. */
size_t shared_memory_size(int fd);
/* Makes it larger; never smaller: a process that has mapped the end would crash. 0, or
 * -1 with errno. */
int shared_memory_grow(int fd, size_t bytes) __attribute__((warn_unused_result));
/* Zeroes a part and returns its memory to the kernel. Needs no writable mapping. 0, or
 * -1 with errno. */
int shared_memory_clear(int fd, const struct shared_memory_range *range)
    __attribute__((warn_unused_result));

/* Maps a part; it is left out of core files. NULL with errno. */
void *shared_memory_map(int fd, const struct shared_memory_range *range,
    enum shared_memory_access access) __attribute__((warn_unused_result));
/* Replaces a mapping of this process, at its address, by a read-only one. 0, or -1 with
 * errno. */
int shared_memory_make_read_only(int fd, const struct shared_memory_range *range,
    void *mapping) __attribute__((warn_unused_result));
/* Extends a mapping of one part, which may move; needs no descriptor. The part must lie
 * within the file by the time it is read. NULL with errno: the mapping is unchanged. */
void *shared_memory_extend(void *mapping, size_t bytes, size_t new_bytes)
    __attribute__((warn_unused_result));
/* NULL is accepted. */
void shared_memory_unmap(const void *mapping, size_t bytes);

#endif
