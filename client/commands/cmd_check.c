#include <stdio.h>

#include "lib/log.h"
#include "lib/options.h"
#include "proto/conversation/conversation.h"
#include "proto/conversation/conversation_describe.h"
#include "client/commands/commands.h"

static void
show(const struct conversation *conversation)
{
	bool can_pipeline = conversation->pipeline_refusal[0] == '\0';
	printf("%s: %u steps\n", conversation->file, conversation->step_count);
	printf("pipelining (-p): %s\n",
	    can_pipeline ? "possible" : conversation->pipeline_refusal);
	if (conversation->closes)
		printf("connections: one for each pass\n");
	printf("\n");
	conversation_describe(conversation, CONVERSATION_CLIENT, stdout);
	printf("\n");
	if (conversation->server_refusal[0] == '\0')
		conversation_describe(conversation, CONVERSATION_SERVER, stdout);
	else
		printf("server: cannot play it: %s\n", conversation->server_refusal);
}

int
cmd_check(int argc, char **argv)
{
	static const struct option_row rows[] = { { .name = NULL } };
	static const struct options_command command = {
		.name = "yodel check",
		.version = "yodel " YODEL_VERSION,
		.operands = "FILE.talk",
		.operands_min = 1,
		.operands_max = 1,
		.intro =
		    "Compiles a conversation file (yodel-conversation(5)) and shows what the client and the server say and hear.",
		.notes =
		    "Exit status: 0 correct, 64 a mistake in the file, 66 unreadable file, 71 system.",
		.rows = rows,
	};
	struct conversation conversation;
	char error[CONVERSATION_ERROR_MAX];
	char **paths = options_parse(&command, argc, argv, NULL);
	int status = conversation_load(paths[0], &conversation, error);
	if (status != 0) {
		log_errorx("%s", error);
		return status;
	}
	show(&conversation);
	conversation_finish(&conversation);
	return 0;
}
