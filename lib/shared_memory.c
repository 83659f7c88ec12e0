#include "lib/shared_memory.h"

#include <sys/mman.h>
#include <sys/stat.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

size_t
shared_memory_round(size_t bytes)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	return (bytes + page - 1) / page * page;
}

int
shared_memory_create(const char *name, size_t bytes)
{
	int fd = memfd_create(name, MFD_CLOEXEC);
	if (fd < 0)
		return -1;
	if (shared_memory_grow(fd, bytes) == 0)
		return fd;
	int saved = errno;
	close(fd);
	errno = saved;
	return -1;
}

size_t
shared_memory_size(int fd)
{
	struct stat st;
	return fstat(fd, &st) < 0 ? 0 : (size_t)st.st_size;
}

int
shared_memory_grow(int fd, size_t bytes)
{
	return bytes <= shared_memory_size(fd) ? 0 : ftruncate(fd, (off_t)bytes);
}

int
shared_memory_clear(int fd, const struct shared_memory_range *range)
{
	const int punch = FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE;
	if (fallocate(fd, punch, (off_t)range->offset, (off_t)range->bytes) == 0)
		return 0;
	void *memory = shared_memory_map(fd, range, SHARED_MEMORY_WRITE);
	if (memory == NULL)
		return -1;
	memset(memory, 0, range->bytes);
	shared_memory_unmap(memory, range->bytes);
	return 0;
}

/* The file opened again for reading; fd itself if /proc cannot be used. -1 with errno.
 */
static int
reopen(int fd)
{
	char path[32];
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	int read_fd = open(path, O_RDONLY | O_CLOEXEC);
	bool has_no_proc = read_fd < 0 && (errno == ENOENT || errno == EACCES);
	return has_no_proc ? fd : read_fd;
}

static void *
map_at(void *address, int flags, int fd, const struct shared_memory_range *range)
{
	int read_fd = reopen(fd);
	if (read_fd < 0)
		return NULL;
	void *memory = mmap(address, range->bytes, PROT_READ, MAP_SHARED | flags,
	    read_fd, (off_t)range->offset);
	int saved = errno;
	if (read_fd != fd)
		close(read_fd);
	errno = saved;
	return memory == MAP_FAILED ? NULL : memory;
}

void *
shared_memory_map(
    int fd, const struct shared_memory_range *range, enum shared_memory_access access)
{
	void *memory;
	if (access == SHARED_MEMORY_READ)
		memory = map_at(NULL, 0, fd, range);
	else
		memory = mmap(NULL, range->bytes, PROT_READ | PROT_WRITE, MAP_SHARED,
		    fd, (off_t)range->offset);
	if (memory == NULL || memory == MAP_FAILED)
		return NULL;
	(void)madvise(memory, range->bytes, MADV_DONTDUMP);
	return memory;
}

int
shared_memory_make_read_only(
    int fd, const struct shared_memory_range *range, void *mapping)
{
	if (map_at(mapping, MAP_FIXED, fd, range) == NULL)
		return -1;
	(void)madvise(mapping, range->bytes, MADV_DONTDUMP);
	return 0;
}

void *
shared_memory_extend(void *mapping, size_t bytes, size_t new_bytes)
{
	void *memory = mremap(mapping, bytes, new_bytes, MREMAP_MAYMOVE);
	return memory == MAP_FAILED ? NULL : memory;
}

void
shared_memory_unmap(const void *mapping, size_t bytes)
{
	if (mapping != NULL)
		munmap((void *)mapping, bytes);
}
