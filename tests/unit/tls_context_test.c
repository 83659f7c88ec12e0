#include <sys/stat.h>
#include <sys/wait.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
/* cmocka needs those above */
#include <cmocka.h>

#include "net/tls/tls_context.h"
#include "net/tls/tls_suites.h"
#include "tests/lib/needs.h"
#include "tests/lib/tls_fixture.h"

static char error[TLS_ERROR_MAX];

static struct tls_settings
server_settings(void)
{
	return (struct tls_settings){ .certificate = tls_path("server.pem"),
		.key = tls_path("server.key"),
		.has_tickets = true };
}

/* The settings are refused with a line that has both texts. */
static void
refused(bool is_server, const struct tls_settings *settings, const char *text,
    const char *also)
{
	error[0] = '\0';
	struct tls_context *context = is_server
	    ? tls_context_create_server(settings, error)
	    : tls_context_create_client(settings, error);
	assert_null(context);
	if (strstr(error, text) == NULL || strstr(error, also) == NULL)
		print_error(
		    "found \"%s\", expected \"%s\" and \"%s\"\n", error, text, also);
	assert_non_null(strstr(error, text));
	assert_non_null(strstr(error, also));
	assert_null(strchr(error, '\n'));
}

static void
append_file(const char *from, const char *to)
{
	char buffer[8192];
	FILE *in = fopen(tls_path(from), "r"), *out = fopen(tls_path(to), "a");
	must(in != NULL && out != NULL);
	size_t n = fread(buffer, 1, sizeof(buffer), in);
	must(n > 0 && fwrite(buffer, 1, n, out) == n);
	fclose(in);
	fclose(out);
}

static void
write_file(const char *file, const char *text)
{
	FILE *out = tls_create_file(file, "");
	fputs(text, out);
	fclose(out);
}

static void
test_a_file_that_is_no_key_or_certificate_is_refused(void **state)
{
	struct tls_settings s = server_settings();
	(void)state;
	write_file("empty", "");
	write_file("text", "this is no PEM\n");
	write_file("cut.pem", "-----BEGIN CERTIFICATE-----\nMIIB\n");
	s.certificate = tls_path("missing");
	refused(true, &s, "cannot read certificate", "No such file or directory");
	s = server_settings();
	s.key = tls_path("missing");
	refused(true, &s, "cannot read key", "No such file or directory");
	s = server_settings();
	s.certificate = tls_path("empty");
	refused(true, &s, "found no certificate in", "-----BEGIN CERTIFICATE-----");
	s.certificate = tls_path("text");
	refused(true, &s, "found no certificate in", "/text");
	s.certificate = tls_path("cut.pem");
	refused(true, &s, "certificate 1 in", "malformed");
	s.certificate = tls_path("server.key");
	refused(true, &s, "found no certificate in", "server.key");
	s = server_settings();
	s.key = tls_path("text");
	refused(true, &s, "found no usable private key in", "PRIVATE KEY");
	s.key = tls_path("server.pem");
	refused(true, &s, "found no usable private key in", "server.pem");
	s.key = tls_path("other.key");
	refused(true, &s, "does not belong to the certificate", "CN=example.org");
	s = server_settings();
	s.key = NULL;
	refused(true, &s, "missing: a key file", "");
	s = (struct tls_settings){ .certificate = tls_path("server.pem") };
	refused(false, &s, "missing: a key file", "");
}

static void
test_an_encrypted_key_is_refused(void **state)
{
	struct tls_settings s = server_settings();
	EVP_PKEY *key = EVP_EC_gen("P-256");
	FILE *out = tls_create_file("locked", ".key");
	(void)state;
	must(PEM_write_PrivateKey(
		 out, key, EVP_aes_256_cbc(), NULL, 0, NULL, (void *)"secret") == 1);
	fclose(out);
	EVP_PKEY_free(key);
	s.key = tls_path("locked.key");
	refused(true, &s, "is encrypted; expected a key without passphrase",
	    "openssl pkey -in");
}

/* A chain of three: leaf, intermediate, root. */
static void
test_a_chain_is_presented_in_order_or_refused(void **state)
{
	struct tls_fixture middle = {
		.file = "middle", .name = "Middle CA", .is_ca = true
	};
	struct tls_fixture leaf = { .file = "leaf", .name = "leaf" };
	struct tls_settings s = server_settings();
	EVP_PKEY *key;
	(void)state;
	X509 *issuer = tls_fixture_make(&middle, &key);
	leaf.issuer = issuer;
	leaf.issuer_key = key;
	tls_fixture_add(&leaf);
	X509_free(issuer);
	EVP_PKEY_free(key);
	append_file("leaf.pem", "chain");
	append_file("middle.pem", "chain");
	append_file("leaf.pem", "whole");
	append_file("middle.pem", "whole");
	append_file("ca.pem", "whole");
	append_file("middle.pem", "reversed");
	append_file("leaf.pem", "reversed");
	append_file("leaf.pem", "gap");
	append_file("ca.pem", "gap");
	s.key = tls_path("leaf.key");
	for (int i = 0; i < 2; i++) {
		s.certificate = tls_path(i == 0 ? "chain" : "whole");
		struct tls_context *context = tls_context_create_server(&s, error);
		assert_non_null(context);
		tls_context_release(context);
	}
	s.certificate = tls_path("reversed");
	refused(true, &s, "certificate 2", "did not issue certificate 1");
	s.certificate = tls_path("gap");
	refused(true, &s, "certificate 2", "(issuer CN=Middle CA)");
	s.certificate = tls_path("chain");
	s.key = tls_path("middle.key");
	refused(true, &s, "belongs to certificate 2", "own certificate first");
	/* Key and certificates in one file. */
	append_file("leaf.key", "chain");
	s.key = s.certificate;
	struct tls_context *context = tls_context_create_server(&s, error);
	assert_non_null(context);
	tls_context_release(context);
}

static void
test_settings_that_cannot_be_are_refused(void **state)
{
	static const char *const empty[] = { "" };
	struct tls_settings s = server_settings();
	(void)state;
	s.ciphers = "TLS_AES_128_GCM_SHA256:ECDHE-RSA-AES128-SHA";
	refused(true, &s, "found cipher suite \"ECDHE-RSA-AES128-SHA\"",
	    "TLS_AES_128_GCM_SHA256");
	s.ciphers = "DEFAULT";
	refused(true, &s, "found cipher suite \"DEFAULT\"", "expected");
	s.ciphers = "AES128-GCM-SHA256"; /* without forward secrecy */
	refused(true, &s, "found cipher suite \"AES128-GCM-SHA256\"", "ECDHE");
	s.ciphers = "";
	refused(true, &s, "found cipher suite \"\"", "expected");
	s.ciphers = "ECDHE-RSA-AES128-GCM-SHA256";
	s.min_version = TLS_VERSION_1_3;
	refused(true, &s, "found no cipher suite for TLS 1.3", "ECDHE-RSA");
	s.max_version = TLS_VERSION_1_3;
	refused(true, &s, "found no cipher suite for TLS 1.3", "ECDHE-RSA");
	s.max_version = TLS_VERSION_1_2;
	refused(
	    true, &s, "found TLS 1.3 as the lowest version", "TLS 1.2 as the highest");
	s.ciphers = "TLS_AES_128_GCM_SHA256";
	s.min_version = 0;
	refused(true, &s, "found no cipher suite for TLS 1.2", "TLS_AES");
	s = server_settings();
	s.min_version = TLS_VERSION_1_3;
	s.max_version = TLS_VERSION_1_2;
	refused(true, &s, "found TLS 1.3 as the lowest", "TLS 1.2 as the highest");
	s = server_settings();
	s.groups = "X25519:P-256:X25520";
	refused(true, &s, "found group \"X25520\"", "such as X25519");
	s = server_settings();
	s.alpn = empty;
	s.alpn_count = 1;
	refused(true, &s, "(ALPN) of 0 bytes", "1 to 255");
	s = server_settings();
	s.verify = TLS_VERIFY_REQUIRE;
	refused(true, &s, "missing: the CAs that issue", "");
	s.ca = tls_path("text");
	refused(true, &s, "found no certificate in CA file", "/text");
	s.ca = tls_path("missing");
	refused(true, &s, "cannot read CA file", "/missing: No such file");
	s = (struct tls_settings){ .verify = TLS_VERIFY_REQUIRE,
		.ca = tls_path("text") };
	refused(false, &s, "found no certificate in CA file", "/text");
}

static void
test_a_key_that_cannot_be_read_is_refused_with_owner_and_mode(void **state)
{
	struct tls_settings s = server_settings();
	int status;
	(void)state;
	needs_root();
	must(chmod(tls_folder, 0755) == 0);
	must(chmod(tls_path("server.key"), 0600) == 0);
	must(mkdir(tls_path("closed"), 0700) == 0);
	must(symlink("closed/key", tls_path("link")) == 0);
	fflush(NULL);
	pid_t pid = fork();
	if (pid == 0) {
		bool is_good = setuid(65534) == 0 &&
		    tls_context_create_server(&s, error) == NULL &&
		    strstr(error, "(owner root:root, mode 0600) as user ") != NULL &&
		    strstr(error, "expected a file that group root can read, ") != NULL;
		s.key = tls_path("link");
		is_good = is_good && tls_context_create_server(&s, error) == NULL &&
		    strstr(error, "/link (folder /tmp/tls_test.") != NULL &&
		    strstr(error, "/closed: owner root:root, mode 0700)") != NULL;
		_exit(is_good ? 0 : 1);
	}
	must(waitpid(pid, &status, 0) == pid);
	assert_int_equal(status, 0);
	assert_false(tls_file_is_public(s.key));
	must(chmod(tls_path("server.key"), 0644) == 0);
	assert_true(tls_file_is_public(s.key));
}

static void
test_the_cas_of_the_environment_are_those_of_the_system(void **state)
{
	const struct tls_settings s = { .verify = TLS_VERIFY_REQUIRE };
	(void)state;
	setenv("SSL_CERT_FILE", tls_path("ca.pem"), 1);
	struct tls_context *context = tls_context_create_client(&s, error);
	assert_non_null(context);
	tls_context_release(context);
	setenv("SSL_CERT_FILE", tls_path("missing"), 1);
	refused(false, &s, "cannot read CA file", "/missing");
	unsetenv("SSL_CERT_FILE");
	context = tls_context_create_client(&s, error);
	assert_non_null(context);
	tls_context_release(context);
}

static void
test_suites_have_two_names(void **state)
{
	struct tls_suite_lists lists;
	(void)state;
	assert_true(tls_suites_parse(NULL, &lists, error, sizeof(error)));
	assert_string_equal(lists.tls_1_3,
	    "TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256:"
	    "TLS_AES_128_GCM_SHA256");
	assert_true(tls_suites_parse(
	    "tls_ecdhe_rsa_with_aes_128_gcm_sha256,ECDHE-RSA-AES128-GCM-SHA256", &lists,
	    error, sizeof(error)));
	assert_string_equal(lists.tls_1_2, "ECDHE-RSA-AES128-GCM-SHA256");
	assert_string_equal(lists.tls_1_3, "");
	for (unsigned id = 0; id < 65536; id++) {
		const struct tls_suite *suite = tls_suite_find(id);
		if (suite == NULL)
			continue;
		assert_true(
		    tls_suites_parse(suite->name, &lists, error, sizeof(error)));
		assert_string_equal(
		    suite->version == TLS_VERSION_1_3 ? lists.tls_1_3 : lists.tls_1_2,
		    suite->openssl);
	}
}

static void
test_fingerprints_are_read_in_the_usual_forms(void **state)
{
	static const char plain[] =
	    "00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff";
	uint8_t sha256[TLS_SHA256_BYTES];
	char text[TLS_SHA256_TEXT];
	(void)state;
	assert_int_equal(tls_sha256_parse(plain, sha256), 0);
	assert_string_equal(tls_sha256_format(sha256, text), plain);
	assert_int_equal(
	    tls_sha256_parse("SHA256:00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF:"
			     "00:11:22:33:44:55:66:77:88:99:AA:BB:CC:DD:EE:FF",
		sha256),
	    0);
	assert_string_equal(tls_sha256_format(sha256, text), plain);
	assert_int_equal(tls_sha256_parse("", sha256), -1);
	assert_int_equal(tls_sha256_parse("0011", sha256), -1);
	assert_int_equal(tls_sha256_parse("sha256:xx", sha256), -1);
	char longer[80];
	snprintf(longer, sizeof(longer), "%s0", plain);
	assert_int_equal(tls_sha256_parse(longer, sha256), -1);
	assert_string_equal(
	    tls_date_format(1804939200, text), "2027-03-13 12:00:00 UTC");
}

static int
setup(void **state)
{
	static const struct tls_fixture other = { .file = "other", .name = "other" };
	(void)state;
	tls_fixture_start();
	tls_fixture_add(&other);
	return 0;
}

static int
teardown(void **state)
{
	(void)state;
	tls_fixture_finish();
	return 0;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_file_that_is_no_key_or_certificate_is_refused),
		cmocka_unit_test(test_an_encrypted_key_is_refused),
		cmocka_unit_test(test_a_chain_is_presented_in_order_or_refused),
		cmocka_unit_test(test_settings_that_cannot_be_are_refused),
		cmocka_unit_test(
		    test_a_key_that_cannot_be_read_is_refused_with_owner_and_mode),
		cmocka_unit_test(
		    test_the_cas_of_the_environment_are_those_of_the_system),
		cmocka_unit_test(test_suites_have_two_names),
		cmocka_unit_test(test_fingerprints_are_read_in_the_usual_forms),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
