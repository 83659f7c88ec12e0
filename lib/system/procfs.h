/*
 * procfs.h - numbers in files of /proc (proc(5)), the only place that reads them.
 *
 * Without stdio: a stream that cannot allocate its buffer reads byte by byte, and a
 * sysctl answers that with wrong numbers.
 */
#ifndef LIB_SYSTEM_PROCFS_H
#define LIB_SYSTEM_PROCFS_H

#include <sys/types.h>

#include <stddef.h>
#include <stdint.h>

/* At most the first size - 1 bytes of a file, and a NUL; "" if it cannot be read. */
void procfs_read(const char *path, char *text, size_t size);

/* The numbers that a file starts with; 0 for those that are missing. */
void procfs_numbers(const char *path, uint64_t *ret, size_t count);
/* The first of them. */
uint64_t procfs_number(const char *path);

/* The number after a word that stands at or after `line_start`: 3 of "TCP: inuse 5 mem
 * 3" with "TCP:" and " mem ". 0 if it is missing. */
uint64_t procfs_word(const char *path, const char *line_start, const char *word);

/* The value below a name, of the two lines that start with the section ("Tcp: A B" and
 * "Tcp: 1 2", in net/snmp and net/netstat). *ret is unchanged if it is missing. */
struct procfs_counter {
	const char *name;
	uint64_t *ret;
};
/* All of them are of one reading of the file. */
void procfs_counters(const char *path, const char *section,
    const struct procfs_counter *wanted, size_t count);
void procfs_counter(
    const char *path, const char *section, const char *name, uint64_t *ret);

/* Open descriptors of a process; 0: unknown (before Linux 6.2, or not ours to see). */
uint64_t procfs_descriptors(pid_t pid);

#endif
