#include "worker/output.h"

#include <stdlib.h>

#include "worker/connection.h"
#include "worker/worker_state.h"

struct output *
output_create(struct connection *connection)
{
	struct worker *worker = connection->listener->worker;
	struct output *output = calloc(1, sizeof(*output));
	if (output == NULL)
		return NULL;
	output->owner = connection;
	output->progress_ms = worker->now_ms;
	output->next = worker->queued_outputs;
	if (worker->queued_outputs != NULL)
		worker->queued_outputs->previous = output;
	worker->queued_outputs = output;
	connection->output = output;
	return output;
}

void
output_destroy(struct connection *connection)
{
	struct output *output = connection->output;
	if (output == NULL)
		return;
	if (output->previous != NULL)
		output->previous->next = output->next;
	else
		connection->listener->worker->queued_outputs = output->next;
	if (output->next != NULL)
		output->next->previous = output->previous;
	buffer_release(&output->bytes);
	free(output);
	connection->output = NULL;
}
