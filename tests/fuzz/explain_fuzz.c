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
	const struct finding findings[] = { { .kind = FINDING_ENDED },
		{ .kind = FINDING_DAMAGE, .message = 4 } };
	char *text = strndup((const char *)data, size), error[256] = "";
	struct explain_list list;
	struct explained_faults out;
	struct explain_named named;

	must(text != NULL);
	if (explain_read(text, size, &list, error, sizeof(error)) == 0) {
		explain_findings(findings, 2, 1, &list, &out, &named);
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
