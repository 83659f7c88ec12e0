/*
 * xmalloc.h - allocation that does not return NULL, for programs that end when memory
 * is exhausted (yodel, yodelctl). On failure: one line on stderr, then exit with
 * EX_OSERR. yodeld does not use it: a server handles each failed allocation.
 */
#ifndef LIB_XMALLOC_H
#define LIB_XMALLOC_H

#include <stddef.h>

/* The caller frees each result with free(3). */
void *xmalloc(size_t size) __attribute__((malloc, returns_nonnull, warn_unused_result));
/* Zeroed. */
void *xcalloc(size_t count, size_t size)
    __attribute__((malloc, returns_nonnull, warn_unused_result));
void *xreallocarray(void *old, size_t count, size_t size)
    __attribute__((returns_nonnull, warn_unused_result));
char *xstrdup(const char *text)
    __attribute__((malloc, returns_nonnull, warn_unused_result));
char *xasprintf(const char *format, ...)
    __attribute__((format(printf, 1, 2), malloc, returns_nonnull, warn_unused_result));

/* For libraries that return NULL when out of memory: returns what is not NULL. */
void *xmalloc_check(void *memory) __attribute__((returns_nonnull, warn_unused_result));

/* Prints "PROGRAM: out of memory" and exits with EX_OSERR. */
void xmalloc_fail(void) __attribute__((noreturn));

#endif
