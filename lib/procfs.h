/*
 * procfs.h - figures of the kernel, out of files of /proc (proc(5)).
 *
 * They are read without stdio: a stream that gets no memory for its buffer reads wrong
 * numbers out of sysctls.
 */
#ifndef LIB_PROCFS_H
#define LIB_PROCFS_H

#include <stddef.h>
#include <stdint.h>

/* The first size - 1 bytes of a file and a NUL; nothing of one that cannot be read. */
void procfs_read(const char *path, char *text, size_t size);

/* The number that a file begins with; 0 when it cannot be read. */
uint64_t procfs_number(const char *path);

/* The number behind a word, at or after the start of a line: 3 of "TCP: inuse 5 mem 3"
 * with "TCP:" and " mem ". 0 without one. */
uint64_t procfs_word(const char *path, const char *line_start, const char *word);

/* The value below a name, of the two lines that begin with the section ("Tcp: A B" and
 * "Tcp: 1 2", in net/snmp and net/netstat). What is not found leaves *ret as it is. */
void procfs_counter(
    const char *path, const char *section, const char *name, uint64_t *ret);

#endif
