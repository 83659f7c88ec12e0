/*
 * tls_key_log.h - the file of --tls-keylog: lines of NSS's key log format, which all
 * load processes append. A line has one write(2). Where the file has no room for the
 * whole line, the next one begins with a line end, so that only the line that was cut
 * is of no use.
 */
#ifndef CLIENT_PLAN_TLS_KEY_LOG_H
#define CLIENT_PLAN_TLS_KEY_LOG_H

#include <stdint.h>

struct tls_key_log;

/* Opens or creates the file, before the load processes are forked; the caller calls
 * tls_key_log_close. NULL with errno: it cannot be opened. */
struct tls_key_log *tls_key_log_open(const char *path);
void tls_key_log_close(struct tls_key_log *log);

/* Appends a line, given without its end; `argument`: the struct tls_key_log. */
void tls_key_log_write(const char *line, void *argument);

/* Lines that were not written completely so far, in all processes. *ret_error: errno of
 * the last one. */
uint64_t tls_key_log_lost(const struct tls_key_log *log, int *ret_error);

#endif
