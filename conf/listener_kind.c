#include "conf/listener_kind.h"

#include <errno.h>
#include <grp.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/system/procfs.h"

#define MODE_DEFAULT 0660

static const char *const kind_names[] = {
	[LISTENER_TCP] = "a TCP listener",
	[LISTENER_MPTCP] = "an MPTCP listener",
	[LISTENER_UNIX] = "a Unix socket",
};

enum listener_kind
listener_kind_of(const struct listener_config *listener)
{
	if (address_is_unix(&listener->address))
		return LISTENER_UNIX;
	return listener->address.is_mptcp ? LISTENER_MPTCP : LISTENER_TCP;
}

static bool
parse_id(const char *text, uint32_t *ret)
{
	char *end;
	unsigned long long value = strtoull(text, &end, 10);
	/* The largest number means "unchanged" to chown(2). */
	if (text[0] < '0' || text[0] > '9' || *end != '\0' || value >= UINT32_MAX)
		return false;
	*ret = (uint32_t)value;
	return true;
}

static bool
find_user(const char *text, uint32_t *ret)
{
	if (parse_id(text, ret))
		return true;
	const struct passwd *entry = getpwnam(text);
	if (entry != NULL)
		*ret = entry->pw_uid;
	return entry != NULL;
}

static bool
find_group(const char *text, uint32_t *ret)
{
	if (parse_id(text, ret))
		return true;
	const struct group *entry = getgrnam(text);
	if (entry != NULL)
		*ret = entry->gr_gid;
	return entry != NULL;
}

int
listener_kind_check_user(const char *text, char *error, size_t error_size)
{
	uint32_t uid;
	if (find_user(text, &uid))
		return 0;
	snprintf(error, error_size,
	    "found \"%.64s\", expected a user of this system, or its number", text);
	return -1;
}

int
listener_kind_check_group(const char *text, char *error, size_t error_size)
{
	uint32_t gid;
	if (find_group(text, &gid))
		return 0;
	snprintf(error, error_size,
	    "found \"%.64s\", expected a group of this system, or its number", text);
	return -1;
}

/* Whether the user namespace of this process has the id (user_namespaces(7)). */
static bool
is_mapped(const char *path, uint32_t id)
{
	FILE *file = fopen(path, "re");
	uint32_t first, outside, count;
	bool is_found = file == NULL;
	while (!is_found &&
	    fscanf(file, "%" SCNu32 " %" SCNu32 " %" SCNu32, &first, &outside,
		&count) == 3)
		is_found = id >= first && id - first < count;
	if (file != NULL)
		fclose(file);
	return is_found;
}

static int
fail_hidden(
    const char *what, const char *text, uint32_t id, char *error, size_t error_size)
{
	snprintf(error, error_size,
	    "found \"%.64s\": yodeld runs in a user namespace that hides %s %u, and would see 65534; fix: PrivateUsers=no in a drop-in of the unit (example unix-users.conf), or the mode and group of the socket",
	    text, what, id);
	return -1;
}

/* The texts were checked when they were read. */
static int
derive_prefixes(char *const *texts, size_t count, struct address_prefix **ret_prefixes,
    char *error, size_t error_size)
{
	if (count == 0)
		return 0;
	*ret_prefixes = calloc(count, sizeof(**ret_prefixes));
	if (*ret_prefixes == NULL) {
		snprintf(error, error_size, "out of memory");
		return -1;
	}
	for (size_t i = 0; i < count; i++)
		if (address_prefix_parse(
			texts[i], &(*ret_prefixes)[i], error, error_size) < 0)
			return -1;
	return 0;
}

static int
derive_lists(struct listener_config *listener, const char **ret_setting, char *error,
    size_t error_size)
{
	*ret_setting = "allow";
	if (derive_prefixes(listener->allow_texts, listener->allow_count,
		&listener->allow, error, error_size) < 0)
		return -1;
	*ret_setting = "deny";
	if (derive_prefixes(listener->deny_texts, listener->deny_count, &listener->deny,
		error, error_size) < 0)
		return -1;
	*ret_setting = "proxy_from";
	return derive_prefixes(listener->proxy_from_texts, listener->proxy_from_count,
	    &listener->proxy_from, error, error_size);
}

static int
derive_users(struct listener_config *listener, char *error, size_t error_size)
{
	listener->allow_users =
	    calloc(listener->allow_user_count + 1, sizeof(*listener->allow_users));
	if (listener->allow_users == NULL) {
		snprintf(error, error_size, "out of memory");
		return -1;
	}
	for (size_t i = 0; i < listener->allow_user_count; i++) {
		const char *text = listener->allow_user_texts[i];
		uint32_t *uid = &listener->allow_users[i];
		if (!find_user(text, uid))
			return listener_kind_check_user(text, error, error_size);
		if (!is_mapped("/proc/self/uid_map", *uid))
			return fail_hidden("user", text, *uid, error, error_size);
	}
	return 0;
}

static int
derive_groups(struct listener_config *listener, char *error, size_t error_size)
{
	listener->allow_groups =
	    calloc(listener->allow_group_count + 1, sizeof(*listener->allow_groups));
	if (listener->allow_groups == NULL) {
		snprintf(error, error_size, "out of memory");
		return -1;
	}
	for (size_t i = 0; i < listener->allow_group_count; i++) {
		const char *text = listener->allow_group_texts[i];
		uint32_t *gid = &listener->allow_groups[i];
		if (!find_group(text, gid))
			return listener_kind_check_group(text, error, error_size);
		if (!is_mapped("/proc/self/gid_map", *gid))
			return fail_hidden("group", text, *gid, error, error_size);
	}
	return 0;
}

/* A setting that is given and not for every kind. */
struct given {
	const char *name;
	bool is_given;
	unsigned kinds;
	const char *remedy;
};

static int
check_given(const struct listener_config *listener, const char **ret_setting,
    char *error, size_t error_size)
{
	const enum listener_kind kind = listener_kind_of(listener);
	const unsigned inet = LISTENER_TCP | LISTENER_MPTCP;
	const char *const by_user = ", expected allow_users or allow_groups there";
	/* With a PROXY header they judge the address in it. */
	bool has_addresses = listener->proxy_protocol != PROXY_OFF;
	bool has_path = address_unix_path(&listener->address) != NULL;
	const struct given all[] = {
		{ "nodelay", !listener->nodelay, inet, "" },
		{ "balance", listener->balance_setting == BALANCE_CPU, inet,
		    ", whose workers share one queue, expected \"move\"" },
		{ "congestion", listener->congestion != NULL, inet, "" },
		{ "allow", !has_addresses && listener->allow_count > 0, inet, by_user },
		{ "deny", !has_addresses && listener->deny_count > 0, inet, by_user },
		{ "proxy_from", listener->proxy_from_count > 0, inet, by_user },
		{ "owner", listener->owner_text != NULL, LISTENER_UNIX, "" },
		{ "group", listener->group_text != NULL, LISTENER_UNIX, "" },
		{ "mode", listener->mode_text != NULL, LISTENER_UNIX, "" },
		{ "allow_users", listener->allow_user_count > 0, LISTENER_UNIX,
		    ", expected allow or deny there" },
		{ "allow_groups", listener->allow_group_count > 0, LISTENER_UNIX,
		    ", expected allow or deny there" },
	};
	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++) {
		if (!all[i].is_given || (all[i].kinds & kind) != 0)
			continue;
		*ret_setting = all[i].name;
		snprintf(error, error_size, "it has no effect on %s (%s)%s",
		    kind_names[kind], listener->address_text, all[i].remedy);
		return -1;
	}
	bool names_file = listener->owner_text != NULL ||
	    listener->group_text != NULL || listener->mode_text != NULL;
	if (kind != LISTENER_UNIX || has_path || !names_file)
		return 0;
	*ret_setting = listener->owner_text != NULL ? "owner"
	    : listener->group_text != NULL          ? "group"
						    : "mode";
	snprintf(error, error_size,
	    "the abstract socket %s has no file, expected allow_users or allow_groups, or a path",
	    listener->address_text);
	return -1;
}

/* The kernel must have the congestion control, and allow it to this process. */
static int
check_congestion(const struct listener_config *listener, const char **ret_setting,
    char *error, size_t error_size)
{
	const struct socket_options options = { .congestion = listener->congestion };
	enum socket_option failed;
	char path[64], names[256], reason[160];
	if (listener->congestion == NULL ||
	    socket_options_try(
		&options, &listener->address, &failed, reason, sizeof(reason)) == 0)
		return 0;
	const char *list = errno == EPERM ? "tcp_allowed_congestion_control"
					  : "tcp_available_congestion_control";
	*ret_setting = socket_option_name(failed);
	if (errno != EPERM && errno != ENOENT) {
		snprintf(error, error_size, "%s", reason);
		return -1;
	}
	snprintf(path, sizeof(path), "/proc/sys/net/ipv4/%s", list);
	procfs_read(path, names, sizeof(names));
	names[strcspn(names, "\n")] = '\0';
	snprintf(error, error_size, "found \"%s\", expected one of net.ipv4.%s (%s)",
	    listener->congestion, list, names);
	return -1;
}

/* Refuses options of another kind of socket, and options that need a capability that
 * this process lacks. */
static int
check_socket_options(const struct listener_config *listener, const char **ret_setting,
    char *error, size_t error_size)
{
	enum socket_option failed;
	char reason[160];
	if (!socket_options_are_given(&listener->sockets))
		return 0;
	if (address_is_unix(&listener->address)) {
		int first = 0;
		while (!socket_option_is_given(
		    &listener->sockets, (enum socket_option)first))
			first++;
		*ret_setting = socket_option_name((enum socket_option)first);
		snprintf(error, error_size,
		    "it has no effect on a Unix socket (%s), whose connections do not inherit it",
		    listener->address_text);
		return -1;
	}
	if (socket_options_try(&listener->sockets, &listener->address, &failed, reason,
		sizeof(reason)) == 0)
		return 0;
	bool lacks_capability =
	    errno == EPERM && socket_option_capability(failed) != NULL;
	*ret_setting = socket_option_name(failed);
	snprintf(error, error_size, "%s%s", reason,
	    lacks_capability
		? "; fix: AmbientCapabilities= in a drop-in of the unit, as in the example socket-options.conf"
		: "");
	return -1;
}

int
listener_kind_derive(struct listener_config *listener, const char **ret_setting,
    char *error, size_t error_size)
{
	uint32_t owner = UINT32_MAX, group = UINT32_MAX;
	if (check_given(listener, ret_setting, error, error_size) < 0 ||
	    derive_lists(listener, ret_setting, error, error_size) < 0)
		return -1;
	if (check_congestion(listener, ret_setting, error, error_size) < 0 ||
	    check_socket_options(listener, ret_setting, error, error_size) < 0)
		return -1;
	*ret_setting = "allow_users";
	if (derive_users(listener, error, error_size) < 0)
		return -1;
	*ret_setting = "allow_groups";
	if (derive_groups(listener, error, error_size) < 0)
		return -1;
	if (listener->owner_text != NULL)
		(void)find_user(listener->owner_text, &owner);
	if (listener->group_text != NULL)
		(void)find_group(listener->group_text, &group);
	listener->owner = owner;
	listener->group = group;
	listener->mode = listener->mode_text != NULL
	    ? (mode_t)strtoul(listener->mode_text, NULL, 8)
	    : MODE_DEFAULT;
	listener->balance = listener->balance_setting;
	if (listener_kind_of(listener) == LISTENER_UNIX)
		listener->balance = BALANCE_MOVE;
	return 0;
}
