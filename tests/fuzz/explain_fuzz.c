/*
 * The reply of a server to /faults. Whatever it holds, each finding is explained, not
 * explained or not judged. An error is one line.
 */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/measure/findings.h"
#include "client/result/explain.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const struct finding findings[] = { { .kind = FINDING_TIMEOUT, .end = 9 },
		{ .kind = FINDING_DAMAGE, .message = 4, .last_message = 5 } };
	const struct explain_args args = {
		.findings = findings, .finding_count = 2, .findings_missed = 1
	};
	const struct explain_request request = { .injected = size, .answered_ns = 1 };
	char *text = strndup((const char *)data, size), error[256] = "";
	struct explain_list list;
	struct explained_faults out;
	struct explain_named named;

	must(text != NULL);
	if (explain_list_read(text, &request, &list, error, sizeof(error)) == 0) {
		explain_findings(&args, &list, &out, &named);
		must(out.findings == 3 &&
		    out.explained + out.unexplained + out.unjudged == 3);
		must(out.recorded == out.timing + out.seen + out.unseen);
		free(list.faults);
	} else {
		must(error[0] != '\0' && strchr(error, '\n') == NULL);
	}
	free(text);
	return 0;
}
