/*
 * Files of certificates and keys: the input is one file in all roles. It is loaded, or
 * refused with one line of text.
 */
#include <sys/mman.h>

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "net/tls/tls_context.h"
#include "tests/lib/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_error(const char *error)
{
	must(error[0] != '\0' && strlen(error) < TLS_ERROR_MAX);
	must(strchr(error, '\n') == NULL);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char path[32], error[TLS_ERROR_MAX] = "";
	int fd = memfd_create("pem", MFD_CLOEXEC);
	must(fd >= 0 && write(fd, data, size) == (ssize_t)size);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	struct tls_identity *identity = tls_identity_load(path, path, error);
	if (identity == NULL)
		check_error(error);
	else
		must(strlen(tls_identity_certificate(identity)->subject) < 256);
	tls_identity_release(identity);
	const struct tls_settings settings = { .ca = path,
		.verify = TLS_VERIFY_REQUIRE };
	error[0] = '\0';
	struct tls_context *context = tls_context_create_client(&settings, error);
	if (context == NULL)
		check_error(error);
	tls_context_release(context);
	close(fd);
	return 0;
}
