/*
 * The grammar of faults. An accepted text is printed as one that parses to the same
 * fault, whose decisions can be made. An error is one line.
 */
#include <sys/socket.h>

#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/faults/fault.h"
#include "proto/faults/fault_decision.h"
#include "conf/listener_faults.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check(const struct fault *fault)
{
	char text[FAULT_TEXT_MAX], again[FAULT_TEXT_MAX], error[512];
	const struct listener_config listener = {
		.framing = FRAMING_LINE,
		.reply = { .kind = REPLY_ECHO },
	};
	const struct address_compact peer = { .family = AF_INET6, .port = 7 };
	struct fault_point point = { .peer = &peer, .message = 1 };
	struct fault_random random = fault_random_of(fault, 1, 1);
	struct fault other;

	must(fault_parse(fault_format(fault, text), &other, error, sizeof(error)) == 0);
	must(strcmp(fault_format(&other, again), text) == 0 && other.id == fault->id);
	must(listener_faults_check(&listener, fault, error, sizeof(error)) == 0);
	(void)fault_selects(fault, &point);
	must(fault_delay_ns(fault, &random) <= UINT64_C(86400000000000));
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *text = strndup((const char *)data, size), error[512] = "";
	struct fault fault;

	must(text != NULL);
	if (fault_parse(text, &fault, error, sizeof(error)) == 0)
		check(&fault);
	else
		must(error[0] != '\0' && strchr(error, '\n') == NULL);
	free(text);
	return 0;
}
