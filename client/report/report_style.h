/* report_style.h - the style sheet of the page (report_html.c), and the script of the
 * page that shows a run while it goes on. */
#ifndef CLIENT_REPORT_REPORT_STYLE_H
#define CLIENT_REPORT_REPORT_STYLE_H

extern const char report_style[];

/* Fetches /report when /events says that a second is over, and replaces the parts of
 * <main> that differ. */
extern const char report_script[];

#endif
