/* page.h - the page of the admin endpoints, which a browser shows and keeps up to date
 * (page.html). */
#ifndef MASTER_ADMIN_PAGE_H
#define MASTER_ADMIN_PAGE_H

struct evhttp_request;

void page_send(struct evhttp_request *request);

#endif
