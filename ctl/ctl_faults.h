/* ctl_faults.h - the faults of listeners: their list, and what changes it. */
#ifndef CTL_CTL_FAULTS_H
#define CTL_CTL_FAULTS_H

#include <jansson.h>
#include <stdio.h>

/* A ctl_show_function for the reply to /faults. */
void ctl_faults_show(FILE *out, const json_t *faults);

/* The target of the POST for the arguments "set LISTENER FAULT..." or "clear"; heap,
 * or NULL with one line in error[CTL_ERROR_MAX]. */
char *ctl_faults_target(char *const *arguments, char *error);

#endif
