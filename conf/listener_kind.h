/*
 * listener_kind.h - a listener is of a kind, by its address: TCP, MPTCP or Unix. Which
 * settings are for which kind; what is derived from them: prefixes of addresses, and
 * for a Unix socket owner, group and mode of its file, users and groups that may
 * connect.
 *
 * Users that a user namespace hides from this process (systemd's PrivateUsers=) appear
 * as user 65534 (user_namespaces(7)): a setting that names one is refused.
 */
#ifndef CONF_LISTENER_KIND_H
#define CONF_LISTENER_KIND_H

#include <stddef.h>

#include "conf/config.h"

enum listener_kind {
	LISTENER_TCP = 1,
	LISTENER_MPTCP = 2,
	LISTENER_UNIX = 4,
};

enum listener_kind listener_kind_of(const struct listener_config *listener);

/* Checks a name or number. 0, or -1 with one line in error[error_size]. */
int listener_kind_check_user(const char *text, char *error, size_t error_size);
int listener_kind_check_group(const char *text, char *error, size_t error_size);

/* Checks that the listener has no setting of another kind, and derives those of its
 * kind. 0, or -1 with the name of the setting and one line in error[error_size]. */
int listener_kind_derive(struct listener_config *listener, const char **ret_setting,
    char *error, size_t error_size) __attribute__((warn_unused_result));

#endif
