/* plan_options.h - the command line of `yodel run`: one table of flags. */
#ifndef CLIENT_PLAN_PLAN_OPTIONS_H
#define CLIENT_PLAN_PLAN_OPTIONS_H

#include <stddef.h>

#include "lib/options.h"
#include "client/plan/plan.h"

/* The rows of the options of TLS that concern a single connection, for `type`; `at` is
 * the place of its struct plan ("plan."), or empty. */
/* clang-format off */
#define PLAN_OPTIONS_TLS(type, at) \
	{ "tls", 0, NULL, OPTION_FLAG, offsetof(type, at tls), .heading = "TLS:", \
	    .help = "speak TLS with the targets, and verify their certificates" }, \
	{ "tls-ca", 0, "FILE", OPTION_TEXT, offsetof(type, at tls_ca), \
	    .help = "trust the certificates in FILE (the system's, or those of SSL_CERT_FILE)" }, \
	{ "tls-name", 0, "NAME", OPTION_TEXT, offsetof(type, at tls_name), \
	    .help = "request this server name, and expect a certificate for it (the host of the target)" }, \
	{ "tls-insecure", 0, NULL, OPTION_FLAG, offsetof(type, at tls_insecure), \
	    .help = "accept any certificate; each report says so" }, \
	{ "tls-pin", 0, "SHA256", OPTION_TEXT, offsetof(type, at tls_pin), \
	    .help = "accept the certificate with this fingerprint and no other, whichever authority has signed it" }, \
	{ "tls-cert", 0, "FILE", OPTION_TEXT, offsetof(type, at tls_certificate), \
	    .help = "certificate of the client, then its chain; with {connection} in FILE another one for each connection" }, \
	{ "tls-key", 0, "FILE", OPTION_TEXT, offsetof(type, at tls_key), \
	    .help = "its private key (the file of --tls-cert)" }, \
	{ "tls-min", 0, "1.2|1.3", OPTION_NAME, offsetof(type, at tls_min), .names = plan_tls_version_names, \
	    .help = "lowest version of TLS (1.2)" }, \
	{ "tls-max", 0, "1.2|1.3", OPTION_NAME, offsetof(type, at tls_max), .names = plan_tls_version_names, \
	    .help = "highest version of TLS (1.3)" }, \
	{ "tls-ciphers", 0, "LIST", OPTION_TEXT, offsetof(type, at tls_ciphers), \
	    .help = "cipher suites to offer, in order, separated by colons" }, \
	{ "tls-groups", 0, "LIST", OPTION_TEXT, offsetof(type, at tls_groups), \
	    .help = "groups of the key exchange to offer, in order, separated by colons" }, \
	{ "tls-alpn", 0, "LIST", OPTION_TEXT, offsetof(type, at tls_alpn), \
	    .help = "application protocols to offer, in order, separated by commas" }, \
	{ "tls-keylog", 0, "FILE", OPTION_TEXT, offsetof(type, at tls_keylog), \
	    .help = "append the secrets to FILE, with which Wireshark decrypts a capture" }
/* clang-format on */

/* Fills a plan (after plan_init) from argv, argv[0] being the name to speak with.
 * Prints and exits for --help, --version and what is no command line (64). */
void plan_options_parse(int argc, char **argv, struct plan *plan);

#endif
