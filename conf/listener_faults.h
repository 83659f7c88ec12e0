/*
 * listener_faults.h - the faults of a listener: those that are configured, or those
 * that an operator has set at run time.
 */
#ifndef CONF_LISTENER_FAULTS_H
#define CONF_LISTENER_FAULTS_H

#include "conf/config.h"

/* Whether the listener can inject this fault, by its address, framing and reply. 0, or
 * -1 with one line in error: what was found, what was expected. */
int listener_faults_check(const struct listener_config *listener,
    const struct fault *fault, char *error, size_t error_size)
    __attribute__((warn_unused_result));

/* Replaces the faults of a listener by these texts, from now on. 0, or -1 with one line
 * in error[CONFIG_ERROR_MAX] and the faults unchanged. */
int listener_faults_set(struct listener_config *listener, const char *const *texts,
    size_t count, char *error) __attribute__((warn_unused_result));
/* Returns to the configured faults. 0, or -1 with the error. */
int listener_faults_reset(struct listener_config *listener, char *error)
    __attribute__((warn_unused_result));

/* The backlog of the listener's sockets: that of a fault that is in effect now, or the
 * configured one. */
int listener_faults_backlog(const struct listener_config *listener);

#endif
