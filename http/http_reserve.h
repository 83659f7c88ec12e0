/*
 * http_reserve.h - memory kept back for libevent, where want of it would end the
 * master.
 *
 * An evhttp (2.1.12) that cannot make what belongs to a visitor's connection frees what
 * it has not finished, and crashes. So its allocations do not fail before this reserve
 * is used up, and it is filled up again as soon as there is memory.
 */
#ifndef HTTP_HTTP_RESERVE_H
#define HTTP_HTTP_RESERVE_H

/* Before anything else of libevent is called. */
void http_reserve_start(void);

#endif
