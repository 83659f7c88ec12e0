#include "client/plan/plan_messages.h"

#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "lib/units.h"

static int
refuse(char *error, const char *text)
{
	snprintf(error, PLAN_ERROR_MAX, "%s", text);
	return EX_USAGE;
}

/* --size N[:M] */
static int
check_size(struct plan *plan, char *error)
{
	char first[UNITS_TEXT_MAX];
	const char *text = plan->size_text;

	if (text == NULL)
		return 0;
	if (plan->texts.count > 0 || plan->file != NULL)
		return refuse(error,
		    "--size makes the messages; --message and --file cannot be given with it");
	size_t n = strcspn(text, ":");
	if (n < sizeof(first)) {
		memcpy(first, text, n);
		first[n] = '\0';
	}
	if (n >= sizeof(first) || units_parse_size(first, &plan->size_min) != 0 ||
	    (text[n] == ':' && units_parse_size(text + n + 1, &plan->size_max) != 0)) {
		snprintf(error, PLAN_ERROR_MAX,
		    "--size \"%s\"; N or N:M bytes was wanted, as in 64 or 1k:64k",
		    text);
		return EX_USAGE;
	}
	if (text[n] == '\0')
		plan->size_max = plan->size_min;
	if (plan->size_min < 1 || plan->size_max < plan->size_min ||
	    plan->size_max > PLAN_MESSAGE_MAX) {
		snprintf(error, PLAN_ERROR_MAX,
		    "--size \"%s\"; from 1 byte to 1G, the smaller first, was wanted",
		    text);
		return EX_USAGE;
	}
	plan->payload = true;
	return 0;
}

static int
check_texts(struct plan *plan, char *error)
{
	if (plan->texts.count > 0 && plan->file != NULL)
		return refuse(error, "--message and --file cannot be given together");
	return check_size(plan, error);
}

static int
check_expect(struct plan *plan, char *error)
{
	char why[256];

	if (strcmp(plan->expect_text, "auto") == 0) {
		plan->expect = PLAN_EXPECT_AUTO;
	} else if (strcmp(plan->expect_text, "none") == 0) {
		plan->expect = PLAN_EXPECT_NONE;
	} else if (reply_parse(plan->expect_text, &plan->reply, why, sizeof(why)) !=
	    0) {
		snprintf(error, PLAN_ERROR_MAX, "--expect: %s, or auto, or none", why);
		return EX_USAGE;
	} else {
		plan->expect = PLAN_EXPECT_REPLY;
	}
	return 0;
}

int
plan_messages_check(struct plan *plan, char *error)
{
	int rc = check_texts(plan, error);

	return rc != 0 ? rc : check_expect(plan, error);
}
