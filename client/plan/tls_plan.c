#include "client/plan/tls_plan.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "lib/log.h"
#include "lib/xmalloc.h"
#include "net/tls/tls_record.h"
#include "client/plan/plan_refuse.h"

#define NAME_MAX_BYTES 255 /* of server_name, as OpenSSL limits it */

/* The first option of TLS that is given without --tls; NULL: none. */
static const char *
stray_option(const struct plan *plan)
{
	const struct {
		const char *name;
		bool is_given;
	} options[] = {
		{ "--tls-ca", plan->tls_ca != NULL },
		{ "--tls-name", plan->tls_name != NULL },
		{ "--tls-insecure", plan->tls_insecure },
		{ "--tls-pin", plan->tls_pin != NULL },
		{ "--tls-cert", plan->tls_certificate != NULL },
		{ "--tls-key", plan->tls_key != NULL },
		{ "--tls-min", plan->tls_min != PLAN_TLS_DEFAULT },
		{ "--tls-max", plan->tls_max != PLAN_TLS_DEFAULT },
		{ "--tls-ciphers", plan->tls_ciphers != NULL },
		{ "--tls-groups", plan->tls_groups != NULL },
		{ "--tls-alpn", plan->tls_alpn != NULL },
		{ "--tls-resume", plan->tls_resume > 0 },
		{ "--tls-keylog", plan->tls_keylog != NULL },
	};
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++)
		if (options[i].is_given)
			return options[i].name;
	return NULL;
}

static int
check_combinations(struct plan *plan, char *error)
{
	if (plan->tls_insecure && (plan->tls_ca != NULL || plan->tls_pin != NULL))
		return plan_refuse(error,
		    "--tls-insecure accepts any certificate: it cannot be used with --tls-ca or --tls-pin");
	if (plan->tls_key != NULL && plan->tls_certificate == NULL)
		return plan_refuse(error, "--tls-key requires --tls-cert");
	if (plan->tls_key == NULL)
		plan->tls_key = plan->tls_certificate;
	if (plan->tls_min != PLAN_TLS_DEFAULT && plan->tls_max != PLAN_TLS_DEFAULT &&
	    plan->tls_min > plan->tls_max)
		return plan_refuse(error, "--tls-min is above --tls-max");
	return 0;
}

/* The host of "HOST:PORT", "[ADDRESS]:PORT", "mptcp:HOST:PORT", without a zone; "" for
 * "unix:PATH". */
static char *
host_of(const char *target)
{
	static const char mptcp[] = "mptcp:", unix_socket[] = "unix:";
	if (strncmp(target, unix_socket, strlen(unix_socket)) == 0)
		return xstrdup("");
	if (strncmp(target, mptcp, strlen(mptcp)) == 0)
		target += strlen(mptcp);
	const char *end = strrchr(target, ':');
	size_t length = end != NULL ? (size_t)(end - target) : strlen(target);
	if (length > 2 && target[0] == '[' && target[length - 1] == ']') {
		target++;
		length -= 2;
	}
	const char *zone = memchr(target, '%', length);
	if (zone != NULL)
		length = (size_t)(zone - target);
	return xasprintf("%.*s", (int)length, target);
}

/* Only certificates that lead to a CA are for a name. */
static bool
verifies_names(const struct plan *plan)
{
	return !plan->tls_insecure && (plan->tls_pin == NULL || plan->tls_ca != NULL);
}

/* As it is requested and looked for in a certificate: without the dot that ends the
 * name of the root (RFC 6066, 3). */
static char *
requested_name(const struct plan *plan, const char *target)
{
	char *name = plan->tls_name != NULL ? xstrdup(plan->tls_name) : host_of(target);
	size_t length = strlen(name);
	if (length > 1 && name[length - 1] == '.')
		name[length - 1] = '\0';
	return name;
}

/* True for the name or address of a host. OpenSSL would accept a certificate for any
 * name that ends like one that begins with a dot. */
static bool
is_name(const char *name)
{
	static const char allowed[] =
	    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._:";
	size_t length = strspn(name, allowed);
	return name[length] == '\0' && name[0] != '.' && strstr(name, "..") == NULL &&
	    (length == 0 || name[length - 1] != '.');
}

static int
check_names(const struct plan *plan, struct tls_plan *tls, char *error)
{
	for (uint32_t i = 0; i < plan->target_count; i++) {
		const char *target = plan->targets[i].text;
		tls->names[i] = requested_name(plan, target);
		if (tls->names[i][0] == '\0' && verifies_names(plan))
			return plan_refuse(error,
			    "--tls: target \"%.128s\" names no host; expected --tls-name, --tls-pin or --tls-insecure",
			    target);
		if (strlen(tls->names[i]) > NAME_MAX_BYTES)
			return plan_refuse(error,
			    "--tls: found a name of %zu bytes, expected at most %d: \"%.64s...\"",
			    strlen(tls->names[i]), NAME_MAX_BYTES, tls->names[i]);
		if (!is_name(tls->names[i]))
			return plan_refuse(error,
			    "--tls: found the name \"%.128s\", expected that of one host",
			    tls->names[i]);
	}
	return 0;
}

static int
parse_alpn(const struct plan *plan, struct tls_plan *tls, char *error)
{
	if (plan->tls_alpn == NULL)
		return 0;
	char *rest = tls->alpn_text = xstrdup(plan->tls_alpn), *name;
	while ((name = strsep(&rest, ",")) != NULL) {
		if (tls->alpn_count == TLS_PLAN_ALPN_MAX)
			return plan_refuse(error,
			    "--tls-alpn: expected at most %d names", TLS_PLAN_ALPN_MAX);
		if (name[0] == '\0' || strlen(name) > TLS_ALPN_MAX)
			return plan_refuse(error,
			    "--tls-alpn: found \"%.128s\", expected names of 1 to %d bytes, as in h2,http/1.1",
			    plan->tls_alpn, TLS_ALPN_MAX);
		tls->alpn[tls->alpn_count++] = name;
	}
	return 0;
}

static int
open_key_log(const struct plan *plan, struct tls_plan *tls, char *error)
{
	if (plan->tls_keylog == NULL)
		return 0;
	if (strcmp(plan->tls_keylog, "-") == 0)
		return plan_refuse(error, "--tls-keylog: found \"-\", expected a file");
	tls->key_log = tls_key_log_open(plan->tls_keylog);
	if (tls->key_log == NULL)
		return plan_refuse(error, "--tls-keylog: cannot write %.256s: %s",
		    plan->tls_keylog, strerror(errno));
	tls_context_set_key_log(tls->context, tls_key_log_write, tls->key_log);
	return 0;
}

static bool
is_pattern(const char *path)
{
	return path != NULL && strstr(path, TLS_PLAN_PLACEHOLDER) != NULL;
}

static char *
fill(const char *pattern, size_t number)
{
	const char *at = strstr(pattern, TLS_PLAN_PLACEHOLDER);
	if (at == NULL)
		return xstrdup(pattern);
	return xasprintf("%.*s%zu%s", (int)(at - pattern), pattern, number,
	    at + strlen(TLS_PLAN_PLACEHOLDER));
}

/* 1: loaded; 0: there is no such file; -1: the error. */
static int
load_identity(const struct plan *plan, struct tls_plan *tls, char *error)
{
	char why[TLS_ERROR_MAX];
	char *certificate = fill(plan->tls_certificate, tls->identity_count);
	char *key = fill(plan->tls_key, tls->identity_count);
	struct tls_identity *identity = NULL;
	bool exists = access(certificate, F_OK) == 0;
	if (exists)
		identity = tls_identity_load(certificate, key, why);
	if (exists && identity == NULL)
		plan_refuse(error, "--tls-cert: %s", why);
	else if (!exists && tls->identity_count == 0)
		plan_refuse(error, "--tls-cert: cannot read %.256s: %s", certificate,
		    strerror(errno));
	free(certificate);
	free(key);
	if (identity == NULL)
		return exists || tls->identity_count == 0 ? -1 : 0;
	tls->identities = xreallocarray(
	    tls->identities, tls->identity_count + 1, sizeof(tls->identities[0]));
	tls->identities[tls->identity_count++] = identity;
	return 1;
}

static int
load_identities(const struct plan *plan, struct tls_plan *tls, char *error)
{
	size_t most = plan->connections < TLS_PLAN_IDENTITIES_MAX
	    ? plan->connections
	    : TLS_PLAN_IDENTITIES_MAX;
	int rc = 1;
	if (!is_pattern(plan->tls_certificate) && is_pattern(plan->tls_key))
		return plan_refuse(error,
		    "--tls-key: found \"" TLS_PLAN_PLACEHOLDER
		    "\", expected it in --tls-cert, too");
	if (!is_pattern(plan->tls_certificate))
		return 0;
	while (rc > 0 && tls->identity_count < most)
		rc = load_identity(plan, tls, error);
	return rc < 0 ? EX_USAGE : 0;
}

static uint16_t
version_of(enum plan_tls_version version)
{
	if (version == PLAN_TLS_DEFAULT)
		return 0;
	return version == PLAN_TLS_1_2 ? TLS_VERSION_1_2 : TLS_VERSION_1_3;
}

static int
create_context(const struct plan *plan, struct tls_plan *tls, char *error)
{
	bool is_shared = !is_pattern(plan->tls_certificate);
	uint8_t pin[TLS_SHA256_BYTES];
	char why[TLS_ERROR_MAX];
	struct tls_settings settings = {
		.certificate = is_shared ? plan->tls_certificate : NULL,
		.key = is_shared ? plan->tls_key : NULL,
		.ca = plan->tls_ca,
		.verify = verifies_names(plan) ? TLS_VERIFY_REQUIRE : TLS_VERIFY_NONE,
		.min_version = version_of(plan->tls_min),
		.max_version = version_of(plan->tls_max),
		.ciphers = plan->tls_ciphers,
		.groups = plan->tls_groups,
		.alpn = tls->alpn,
		.alpn_count = tls->alpn_count,
		.has_tickets = plan->tls_resume > 0,
		.pin = plan->tls_pin != NULL ? pin : NULL,
	};
	if (plan->tls_pin != NULL && tls_sha256_parse(plan->tls_pin, pin) < 0)
		return plan_refuse(error,
		    "--tls-pin: found \"%.128s\", expected the SHA-256 of a certificate: 64 hexadecimal digits",
		    plan->tls_pin);
	if (tls_record_init() < 0)
		return plan_refuse(error, "--tls: OpenSSL lacks an algorithm");
	tls->context = tls_context_create_client(&settings, why);
	return tls->context != NULL ? 0 : plan_refuse(error, "--tls: %s", why);
}

/* "chain to a CA of ca.pem, name example.org" */
static char *
describe(const struct plan *plan)
{
	if (plan->tls_insecure)
		return xstrdup("nothing (--tls-insecure)");
	if (!verifies_names(plan))
		return xasprintf("fingerprint %s, nothing else", plan->tls_pin);
	const char *file =
	    plan->tls_ca != NULL ? plan->tls_ca : getenv("SSL_CERT_FILE");
	return xasprintf("chain to a CA of %s, name %s%s%s",
	    file != NULL ? file : "the system",
	    plan->tls_name != NULL ? plan->tls_plan->names[0] : "of the target",
	    plan->tls_pin != NULL ? ", fingerprint " : "",
	    plan->tls_pin != NULL ? plan->tls_pin : "");
}

int
tls_plan_check(struct plan *plan, char *error)
{
	const char *stray = stray_option(plan);
	if (!plan->tls)
		return stray == NULL ? 0
				     : plan_refuse(error, "%s requires --tls", stray);
	int rc = check_combinations(plan, error);
	if (rc != 0)
		return rc;
	struct tls_plan *tls = plan->tls_plan = xcalloc(1, sizeof(*tls));
	rc = check_names(plan, tls, error);
	if (rc == 0)
		rc = parse_alpn(plan, tls, error);
	if (rc == 0)
		rc = create_context(plan, tls, error);
	if (rc == 0)
		rc = load_identities(plan, tls, error);
	if (rc == 0)
		rc = open_key_log(plan, tls, error);
	if (rc == 0)
		plan->tls_verification = describe(plan);
	return rc;
}

void
tls_plan_finish(struct plan *plan)
{
	struct tls_plan *tls = plan->tls_plan;
	free(plan->tls_verification);
	plan->tls_verification = NULL;
	plan->tls_plan = NULL;
	if (tls == NULL)
		return;
	for (size_t i = 0; i < tls->identity_count; i++)
		tls_identity_release(tls->identities[i]);
	free(tls->identities);
	for (uint32_t i = 0; i < plan->target_count; i++)
		free(tls->names[i]);
	free(tls->alpn_text);
	tls_context_release(tls->context);
	tls_key_log_close(tls->key_log);
	free(tls);
}

const char *
tls_plan_name(const struct plan *plan, uint32_t target)
{
	const char *name = plan->tls_plan->names[target];
	return name[0] != '\0' ? name : NULL;
}

struct tls_identity *
tls_plan_identity(const struct plan *plan, uint64_t connection)
{
	const struct tls_plan *tls = plan->tls_plan;
	return tls->identity_count > 0
	    ? tls->identities[connection % tls->identity_count]
	    : NULL;
}

uint32_t
tls_plan_identities(const struct plan *plan)
{
	size_t count = plan->tls_plan->identity_count;
	return count > 0 ? (uint32_t)count : 1;
}

uint64_t
tls_plan_lost_keys(const struct plan *plan)
{
	const struct tls_plan *tls = plan->tls_plan;
	int error;
	return tls != NULL && tls->key_log != NULL
	    ? tls_key_log_lost(tls->key_log, &error)
	    : 0;
}

int
tls_plan_check_key_log(const struct plan *plan)
{
	int error;
	if (tls_plan_lost_keys(plan) == 0)
		return 0;
	uint64_t lost = tls_key_log_lost(plan->tls_plan->key_log, &error);
	log_errorx("%s: %s: %llu line%s of the key log lost", plan->tls_keylog,
	    strerror(error), (unsigned long long)lost, lost == 1 ? "" : "s");
	return EX_OSERR;
}
