#include "proto/conversation/conversation.h"

#include <stdlib.h>

void
conversation_finish(struct conversation *conversation)
{
	free(conversation->file);
	free(conversation->bytes);
	free(conversation->failures);
	free(conversation->parts);
	free(conversation->steps);
	free(conversation->choices);
	free(conversation->slot_names);
	free(conversation->step_names);
	*conversation = (struct conversation){ .file = NULL };
}
