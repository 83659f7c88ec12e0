#include "conf/tls_files.h"

#include <sys/stat.h>

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "net/tls/tls_context.h"
#include "net/tls/tls_session.h"
#include "conf/working_directory.h"

struct loader {
	struct listener_config *listener;
	size_t number; /* of the listener */
	tls_files_source source;
	void *argument;
	char *error;
};

static int
fail(const struct loader *loader, const char *key, const char *what)
{
	snprintf(loader->error, CONFIG_ERROR_MAX, "listeners[%zu].tls%s%s: %.440s",
	    loader->number, key[0] == '\0' ? "" : ".", key, what);
	return -1;
}

/* To open a FIFO would wait for a writer, with the whole server. */
static int
check_file(const struct loader *loader, const char *key, const char *path)
{
	char what[PATH_MAX + 64];
	struct stat st;
	/* The reader says what stat(2) cannot find. */
	if (stat(path, &st) < 0 || S_ISREG(st.st_mode))
		return 0;
	snprintf(what, sizeof(what),
	    "found %.300s, which is not a file, expected a PEM file", path);
	return fail(loader, key, what);
}

/* Makes the path of a setting absolute. NULL is allowed. */
static int
resolve(const struct loader *loader, const char *key, char **path)
{
	char name[128], joined[PATH_MAX], absolute[PATH_MAX];
	if (*path == NULL)
		return 0;
	snprintf(name, sizeof(name), "listeners[%zu].tls.%s", loader->number, key);
	const char *source = loader->source(name, loader->argument);
	const char *slash =
	    source == NULL || (*path)[0] == '/' ? NULL : strrchr(source, '/');
	int folder = slash == NULL ? 0 : (int)(slash - source) + 1;
	int n = snprintf(joined, sizeof(joined), "%.*s%s", folder,
	    source == NULL ? "" : source, *path);
	if (n >= PATH_MAX)
		return fail(loader, key, "found a path that is too long");
	const char *best = joined;
	if (working_directory_join(joined, absolute, sizeof(absolute))[0] != '\0')
		best = absolute;
	char *copy = strdup(best);
	if (copy == NULL)
		return fail(loader, key, "out of memory");
	free(*path);
	*path = copy;
	return check_file(loader, key, copy);
}

static int
resolve_all(const struct loader *loader)
{
	struct tls_listener_config *tls = &loader->listener->tls;
	if (resolve(loader, "certificate", &tls->certificate) < 0 ||
	    resolve(loader, "key", &tls->key) < 0 ||
	    resolve(loader, "client_ca", &tls->client_ca) < 0)
		return -1;
	for (size_t i = 0; i < tls->sni_count; i++) {
		char key[64];
		snprintf(key, sizeof(key), "sni[%zu].certificate", i);
		if (resolve(loader, key, &tls->sni[i].certificate) < 0)
			return -1;
		snprintf(key, sizeof(key), "sni[%zu].key", i);
		if (resolve(loader, key, &tls->sni[i].key) < 0)
			return -1;
	}
	return 0;
}

/* Refuses a name that two entries have: the second would never be used. */
static int
check_names(const struct loader *loader)
{
	const struct tls_listener_config *tls = &loader->listener->tls;
	char key[64], what[400];
	for (size_t i = 0; i < tls->sni_count; i++) {
		for (size_t k = 0; k < i; k++) {
			if (strcasecmp(tls->sni[i].name, tls->sni[k].name) != 0)
				continue;
			snprintf(key, sizeof(key), "sni[%zu].name", i);
			snprintf(what, sizeof(what),
			    "found \"%.300s\", the name of sni[%zu], expected another one",
			    tls->sni[i].name, k);
			return fail(loader, key, what);
		}
	}
	return 0;
}

/* Checks what one file alone does not tell. */
static int
check(const struct loader *loader)
{
	const struct tls_listener_config *tls = &loader->listener->tls;
	if (tls->key == NULL)
		return fail(loader, "key",
		    "missing, expected the file of the private key (it may be that of the certificate)");
	if (tls->min_version > tls->max_version)
		return fail(loader, "min_version",
		    "found \"1.3\" with max_version \"1.2\", expected at most max_version");
	if (tls->client_verify != CLIENT_VERIFY_NONE && tls->client_ca == NULL)
		return fail(loader, "client_verify",
		    "found it without client_ca, expected the file of the authorities there");
	if (tls->client_verify == CLIENT_VERIFY_NONE && tls->client_ca != NULL)
		return fail(loader, "client_ca",
		    "found it with client_verify \"none\", expected \"optional\" or \"require\" there");
	return check_names(loader);
}

static uint16_t
version_of(enum tls_version_choice choice)
{
	return choice == TLS_CHOICE_1_2 ? TLS_VERSION_1_2 : TLS_VERSION_1_3;
}

static enum tls_verify
verify_of(enum client_verify verify)
{
	return verify == CLIENT_VERIFY_NONE    ? TLS_VERIFY_NONE
	    : verify == CLIENT_VERIFY_OPTIONAL ? TLS_VERIFY_OPTIONAL
					       : TLS_VERIFY_REQUIRE;
}

static int
create_context(const struct loader *loader)
{
	struct tls_listener_config *tls = &loader->listener->tls;
	char reason[TLS_ERROR_MAX];
	struct tls_name_settings *names = calloc(tls->sni_count + 1, sizeof(*names));
	if (names == NULL)
		return fail(loader, "", "out of memory");
	for (size_t i = 0; i < tls->sni_count; i++)
		names[i] = (struct tls_name_settings){ .name = tls->sni[i].name,
			.certificate = tls->sni[i].certificate,
			.key = tls->sni[i].key };
	const struct tls_settings settings = { .certificate = tls->certificate,
		.key = tls->key,
		.ca = tls->client_ca,
		.verify = verify_of(tls->client_verify),
		.min_version = version_of(tls->min_version),
		.max_version = version_of(tls->max_version),
		.ciphers = tls->ciphers,
		.groups = tls->groups,
		.alpn = (const char *const *)tls->alpn,
		.alpn_count = tls->alpn_count,
		.has_tickets = tls->tickets,
		.names = names,
		.name_count = tls->sni_count };
	tls->context = tls_context_create_server(&settings, reason);
	free(names);
	errno = EINVAL;
	return tls->context == NULL ? fail(loader, "", reason) : 0;
}

/* True if a setting shows that TLS is wanted: without a certificate the listener would
 * serve plain text. */
static bool
is_meant(const struct tls_listener_config *tls)
{
	return tls->key != NULL || tls->client_ca != NULL || tls->ciphers != NULL ||
	    tls->groups != NULL || tls->alpn_count > 0 || tls->sni_count > 0 ||
	    !tls->tickets || tls->expiry_warning_days != 30 ||
	    tls->client_verify != CLIENT_VERIFY_NONE ||
	    tls->min_version != TLS_CHOICE_1_2 || tls->max_version != TLS_CHOICE_1_3;
}

int
tls_files_load(struct listener_config *listener, size_t i, tls_files_source source,
    void *argument, char *error)
{
	const struct loader loader = { listener, i, source, argument, error };
	const struct tls_listener_config *tls = &listener->tls;
	if (tls->certificate == NULL)
		return is_meant(tls)
		    ? fail(&loader, "certificate",
			  "missing, expected the file of the certificate")
		    : 0;
	return resolve_all(&loader) < 0 || check(&loader) < 0 ? -1
							      : create_context(&loader);
}

void
tls_files_finish(struct listener_config *listener)
{
	tls_context_release(listener->tls.context);
	listener->tls.context = NULL;
}

bool
tls_files_are_equal(const struct listener_config *a, const struct listener_config *b)
{
	const struct tls_context *one = a->tls.context, *other = b->tls.context;
	if (one == NULL || other == NULL)
		return one == other;
	return tls_context_has_same_certificates(one, other);
}
