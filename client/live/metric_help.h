/* metric_help.h - what the metrics of a run measure, where the name does not say it. */
#ifndef CLIENT_LIVE_METRIC_HELP_H
#define CLIENT_LIVE_METRIC_HELP_H

/* The help of a family by its name; NULL: the name says it. */
const char *metric_help(const char *name);

#endif
