/* report_outages.h - periods without an answer (--hold), for both reports. */
#ifndef CLIENT_REPORT_REPORT_OUTAGES_H
#define CLIENT_REPORT_REPORT_OUTAGES_H

#include <stddef.h>
#include <stdio.h>

#include "client/report/report_line.h"
#include "client/result/result.h"

#define REPORT_OUTAGES_LINES_MAX 10

/* Sentences: the first for a ticket, "2,011 of 100,000 connections dark for 480 ms to
 * 1.93 s from 14:03:07.2 UTC; 13 lost; 5 of 100,000 never established; 0 wrong bytes",
 * then one for each outage if there are several, and how the periods ended. Returns
 * their number; 0 without --hold.
 */
size_t report_outages_lines(
    const struct result *result, char lines[REPORT_OUTAGES_LINES_MAX][REPORT_LINE_MAX]);

/* The lines and a picture, time across and connections down; nothing without --hold. */
void report_outages_html(const struct result *result, FILE *file);

#endif
