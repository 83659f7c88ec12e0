/* stats_fetch.h - the text of a running server's /stats, over HTTP. */
#ifndef HTTP_STATS_FETCH_H
#define HTTP_STATS_FETCH_H

#include <stdbool.h>
#include <stddef.h>

/* Whether `where` has the form of what stats_fetch() asks. */
bool stats_fetch_takes(const char *where);

/* where is "unix:PATH", or "http://HOST:PORT[/PATH]", or "HOST:PORT". Waits five
 * seconds at most. The body, heap, owned by the caller; or NULL with one line in error.
 */
char *stats_fetch(const char *where, char *error, size_t error_size);

#endif
