/* survey_plan.h - what the command line of `yodel survey` asks for. */
#ifndef CLIENT_PROBES_SURVEY_PLAN_H
#define CLIENT_PROBES_SURVEY_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/options.h"
#include "net/address.h"
#include "client/plan/plan.h"
#include "client/survey_result/survey_rows.h"

#define SURVEY_SOURCES_MAX 8

struct survey_plan {
	uint64_t duration_ns;
	uint64_t idle_max_ns; /* 0: what the duration leaves */
	uint64_t load_ns;     /* 0: no load */
	uint32_t connections; /* most open at a time */
	uint32_t burst;       /* SYNs at once */
	uint32_t repeat;
	bool lists, prints_schema, is_quiet, is_verbose;
	bool ipv4, ipv6;
	bool asks_reach; /* else it only recognises the far end */
	bool asks_rate;  /* by name: --only or --threshold */
	enum plan_progress progress;
	bool tls, tls_insecure;
	const char *tls_ca, *tls_name;
	int proxy_version; /* enum proxy_version; PROXY_OFF: no header */
	const char *load_text, *limits_text;
	const char *json, *html, *ledger;
	struct option_list only, skip, thresholds, source_texts;

	const char *target_text, *second_text;
	struct address target, second;
	bool has_second;
	struct address sources[SURVEY_SOURCES_MAX];
	uint32_t source_count;
	bool is_asked[SURVEY_ROW_COUNT]; /* by --only and --skip */
};

#endif
