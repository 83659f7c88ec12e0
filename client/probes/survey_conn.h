/* survey_conn.h - what the loop of a survey calls for a connection. */
#ifndef CLIENT_PROBES_SURVEY_CONN_H
#define CLIENT_PROBES_SURVEY_CONN_H

#include <stdint.h>

#include "client/probes/survey_loop.h"

/* Handles the events of epoll(7). */
void survey_conn_on_event(
    struct survey_loop *loop, struct survey_conn *conn, uint32_t events);

#endif
