#include "net/tls/tls_suites.h"

#include <stdio.h>
#include <string.h>

#include "lib/printable.h"

/* In OpenSSL's order of preference. RFC 8446, B.4; RFC 5289, 3.2; RFC 7905, 2. */
static const struct tls_suite suites[] = {
	{ 0x1302, TLS_VERSION_1_3, TLS_AES_256_GCM, 48, "TLS_AES_256_GCM_SHA384",
	    "TLS_AES_256_GCM_SHA384" },
	{ 0x1303, TLS_VERSION_1_3, TLS_CHACHA20_POLY1305, 32,
	    "TLS_CHACHA20_POLY1305_SHA256", "TLS_CHACHA20_POLY1305_SHA256" },
	{ 0x1301, TLS_VERSION_1_3, TLS_AES_128_GCM, 32, "TLS_AES_128_GCM_SHA256",
	    "TLS_AES_128_GCM_SHA256" },
	{ 0xc02c, TLS_VERSION_1_2, TLS_AES_256_GCM, 48,
	    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
	    "ECDHE-ECDSA-AES256-GCM-SHA384" },
	{ 0xc030, TLS_VERSION_1_2, TLS_AES_256_GCM, 48,
	    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384", "ECDHE-RSA-AES256-GCM-SHA384" },
	{ 0xcca9, TLS_VERSION_1_2, TLS_CHACHA20_POLY1305, 32,
	    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
	    "ECDHE-ECDSA-CHACHA20-POLY1305" },
	{ 0xcca8, TLS_VERSION_1_2, TLS_CHACHA20_POLY1305, 32,
	    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
	    "ECDHE-RSA-CHACHA20-POLY1305" },
	{ 0xc02b, TLS_VERSION_1_2, TLS_AES_128_GCM, 32,
	    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
	    "ECDHE-ECDSA-AES128-GCM-SHA256" },
	{ 0xc02f, TLS_VERSION_1_2, TLS_AES_128_GCM, 32,
	    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256", "ECDHE-RSA-AES128-GCM-SHA256" },
};
#define SUITES (sizeof(suites) / sizeof(suites[0]))

const struct tls_suite *
tls_suite_find(unsigned id)
{
	for (size_t i = 0; i < SUITES; i++)
		if (suites[i].id == id)
			return &suites[i];
	return NULL;
}

static const struct tls_suite *
find_name(const char *name, size_t length)
{
	for (size_t i = 0; i < SUITES; i++) {
		const struct tls_suite *suite = &suites[i];
		if ((strlen(suite->name) == length &&
			strncasecmp(suite->name, name, length) == 0) ||
		    (strlen(suite->openssl) == length &&
			strncasecmp(suite->openssl, name, length) == 0))
			return suite;
	}
	return NULL;
}

static void
append(char *list, size_t size, const char *name)
{
	size_t used = strlen(list);
	snprintf(list + used, size - used, "%s%s", used > 0 ? ":" : "", name);
}

/* Appends the suite unless the list has it. */
static void
add(struct tls_suite_lists *lists, const struct tls_suite *suite)
{
	if (suite->version == TLS_VERSION_1_3) {
		if (strstr(lists->tls_1_3, suite->openssl) == NULL)
			append(lists->tls_1_3, sizeof(lists->tls_1_3), suite->openssl);
	} else if (strstr(lists->tls_1_2, suite->openssl) == NULL) {
		append(lists->tls_1_2, sizeof(lists->tls_1_2), suite->openssl);
	}
}

bool
tls_suites_parse(
    const char *list, struct tls_suite_lists *ret, char *error, size_t error_size)
{
	struct tls_suite_lists lists = { .tls_1_2 = "" };
	if (list == NULL)
		for (size_t i = 0; i < SUITES; i++)
			add(&lists, &suites[i]);
	for (const char *at = list; at != NULL; at = *at == '\0' ? NULL : at + 1) {
		char found[80];
		size_t length = strcspn(at, ":,");
		const struct tls_suite *suite = find_name(at, length);
		if (suite == NULL) {
			snprintf(found, sizeof(found), "%.*s", (int)length, at);
			snprintf(error, error_size,
			    "found cipher suite \"%s\", expected one of TLS 1.3 such as "
			    "TLS_AES_128_GCM_SHA256, or one with ECDHE and GCM or "
			    "CHACHA20 such as ECDHE-ECDSA-AES128-GCM-SHA256",
			    printable_sanitize(found));
			return false;
		}
		add(&lists, suite);
		at += length;
	}
	*ret = lists;
	return true;
}
