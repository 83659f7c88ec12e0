/*
 * option_error.h - what is wrong with the options of a command line, in one line that
 * says what was probably meant.
 */
#ifndef LIB_OPTION_ERROR_H
#define LIB_OPTION_ERROR_H

#include <argp.h>
#include <getopt.h>

/* Logs what getopt_long() has just refused: it returned ':' or '?'. Its list of letters
 * begins with ':', which keeps it silent and tells the two apart. */
void option_error_log(int rejected, char **argv, const struct option *options);

/* For argp_parse(), which says less, and more often two lines: looks through the
 * options before it, and puts those first in argv as it does. 0, or what to exit with
 * (64: bad usage, 71: no memory), logged. */
int option_error_find(int argc, char **argv, const struct argp_option *rows)
    __attribute__((warn_unused_result));

#endif
