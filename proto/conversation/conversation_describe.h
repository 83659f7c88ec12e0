/* conversation_describe.h - a conversation as one side plays it, for people. */
#ifndef PROTO_CONVERSATION_CONVERSATION_DESCRIBE_H
#define PROTO_CONVERSATION_CONVERSATION_DESCRIBE_H

#include <stdio.h>

#include "proto/conversation/conversation.h"

/* One line for each step of each section: what this side says or hears. Text in quotes
 * is literal, what stands in <...> is filled in or checked. */
void conversation_describe(
    const struct conversation *conversation, enum conversation_role role, FILE *out);

#endif
