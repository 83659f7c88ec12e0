/*
 * conversation_reply.h - the file of a reply "conversation=FILE": found, compiled,
 * freed.
 */
#ifndef CONF_CONVERSATION_REPLY_H
#define CONF_CONVERSATION_REPLY_H

#include "conf/config.h"

/* Compiles the file of the listener's reply, if that names one. A relative name starts
 * at the folder of the file `source`, or at the working directory if that is NULL;
 * reply_text then has the absolute name. 0, or -1 with one line in
 * error[CONFIG_ERROR_MAX], "FILE:LINE:COLUMN: found ..., expected ..." for a mistake in
 * the file; errno is ENOMEM if memory ran out. */
int conversation_reply_load(struct listener_config *listener, const char *source,
    char *error) __attribute__((warn_unused_result));
void conversation_reply_finish(struct listener_config *listener);

#endif
