/* plan_refuse.h - the error line of a command line that cannot be run. */
#ifndef CLIENT_PLAN_PLAN_REFUSE_H
#define CLIENT_PLAN_PLAN_REFUSE_H

/* Writes the line to error[PLAN_ERROR_MAX]. Returns 64 (usage). */
int plan_refuse(char *error, const char *format, ...)
    __attribute__((format(printf, 2, 3)));

#endif
