/*
 * tls_files.h - the setting `tls` of a listener: its files found and read, so that
 * workers get certificates and keys by fork and never open a file.
 */
#ifndef CONF_TLS_FILES_H
#define CONF_TLS_FILES_H

#include "conf/config.h"

/* Names the configuration file that a setting comes from, or NULL: its relative path
 * starts at the working directory. */
typedef const char *(*tls_files_source)(const char *name, void *argument);

/* Checks the setting of listener `i`, makes its paths absolute and reads the files into
 * listener->tls.context. 0, or -1 with one line in error[CONFIG_ERROR_MAX], which
 * begins with the name of the setting; errno is ENOMEM if memory ran out. */
int tls_files_load(struct listener_config *listener, size_t i, tls_files_source source,
    void *argument, char *error) __attribute__((warn_unused_result));
void tls_files_finish(struct listener_config *listener);

/* True if both have the same certificates, chains and CAs. */
bool tls_files_are_equal(
    const struct listener_config *a, const struct listener_config *b);

#endif
