/*
 * http_reserve.h - memory reserved for libevent, whose failed allocations would crash
 * the process.
 *
 * If evhttp (2.1.12) cannot allocate a part of a connection, it frees an incomplete
 * object and crashes. Its allocations therefore use this reserve before they fail, and
 * the reserve is refilled as soon as there is memory.
 */
#ifndef HTTP_HTTP_RESERVE_H
#define HTTP_HTTP_RESERVE_H

/* Call it before any other function of libevent. */
void http_reserve_start(void);

#endif
