#include "conf/config.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "lib/clock.h"
#include "lib/printable.h"
#include "lib/resources.h"
#include "net/tls/tls_context.h"
#include "net/tls/tls_tickets.h"
#include "net/unix_socket.h"
#include "conf/conversation_reply.h"
#include "conf/listener_faults.h"
#include "conf/listener_kind.h"
#include "conf/tls_files.h"

#define FILE_MAX (1 << 20) /* bytes */

static int
fail(char *error, const char *where, const char *what)
{
	char shown[PRINTABLE_TAIL_MAX];
	snprintf(error, CONFIG_ERROR_MAX, "%s: %s",
	    printable_tail(where, shown, sizeof(shown)), what);
	return -1;
}

/* The file: heap, or NULL with the error. */
static char *
read_file(const char *path, size_t *ret_length, char *error)
{
	char *text = malloc(FILE_MAX + 1);
	size_t length = 0;
	ssize_t n = -1;
	int fd = text != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	if (fd >= 0) {
		while ((n = read(fd, text + length, FILE_MAX + 1 - length)) > 0)
			length += (size_t)n;
	}
	int reason = errno;
	if (fd >= 0)
		close(fd);
	if (n == 0 && length <= FILE_MAX) {
		*ret_length = length;
		return text;
	}
	free(text);
	if (length > FILE_MAX)
		fail(error, path,
		    "found more than 1M, expected a configuration of at most 1M");
	else
		fail(error, path, strerror(reason));
	return NULL;
}

static int
load_file(const char *path, struct config *config, char *error)
{
	size_t length;
	if (path == NULL)
		return 0;
	char *text = read_file(path, &length, error);
	if (text == NULL)
		return -1;
	int rc = settings_read_text(
	    &config_table, config, path, text, length, error, CONFIG_ERROR_MAX);
	free(text);
	return rc;
}

static int
override(const struct settings *table, void *base, const char *option, const char *key,
    const char *value, char *error)
{
	char *text;
	if (asprintf(&text, "%s=%s", key, value) < 0)
		return fail(error, option, "out of memory");
	int rc = settings_override(table, base, option, text, error, CONFIG_ERROR_MAX);
	free(text);
	return rc;
}

/* One "ADDRESS[=REPLY]" of the command line. */
static int
load_listen(const char *text, struct listener_config *listener, char *error)
{
	const struct settings *table = &config_listener_table;
	char *address = strdup(text);
	int rc = -1;
	if (address == NULL)
		return fail(error, "--listen", "out of memory");
	char *reply = strchr(address, '=');
	if (reply != NULL)
		*reply++ = '\0';
	if (settings_read_defaults(table, listener, error, CONFIG_ERROR_MAX) == 0 &&
	    override(table, listener, "--listen", "address", address, error) == 0 &&
	    (reply == NULL ||
		override(table, listener, "--listen", "reply", reply, error) == 0))
		rc = 0;
	free(address);
	return rc;
}

static int
set_listen_origins(const char *const *listen, struct config *config, char *error)
{
	char name[64];
	for (size_t i = 0; i < config->listener_count; i++) {
		snprintf(name, sizeof(name), "listeners[%zu].address", i);
		int rc = config_set_origin(config, name, "--listen");
		snprintf(name, sizeof(name), "listeners[%zu].reply", i);
		if (rc == 0 && strchr(listen[i], '=') != NULL)
			rc = config_set_origin(config, name, "--listen");
		if (rc != 0)
			return fail(error, "--listen", "out of memory");
	}
	return 0;
}

/* The listeners of the command line replace all others. */
static int
load_listens(const char *const *listen, struct config *config, char *error)
{
	struct config replaced = { .listeners = config->listeners,
		.listener_count = config->listener_count };
	size_t count = 0;
	int rc = 0;
	while (listen != NULL && listen[count] != NULL)
		count++;
	if (count == 0)
		return 0;
	if (count > CONFIG_LISTENERS_MAX) {
		snprintf(error, CONFIG_ERROR_MAX,
		    "--listen: found %zu listeners, expected at most %d", count,
		    CONFIG_LISTENERS_MAX);
		return -1;
	}
	struct listener_config *listeners = calloc(count, sizeof(*listeners));
	if (listeners == NULL)
		return fail(error, "--listen", "out of memory");
	settings_finish(&config_table, &replaced);
	settings_origin_forget(&config_table, config, "listeners");
	config->listeners = listeners;
	for (config->listener_count = 0; rc == 0 && config->listener_count < count;
	     config->listener_count++)
		rc = load_listen(listen[config->listener_count],
		    &listeners[config->listener_count], error);
	return rc != 0 ? rc : set_listen_origins(listen, config, error);
}

static int
load_overrides(const struct config_sources *sources, struct config *config, char *error)
{
	if (sources->workers != NULL &&
	    override(&config_table, config, "--workers", "workers", sources->workers,
		error) != 0)
		return -1;
	for (const char *const *set = sources->set; set != NULL && *set != NULL; set++)
		if (settings_override(&config_table, config, "--set", *set, error,
			CONFIG_ERROR_MAX) != 0)
			return -1;
	if (!sources->is_verbose)
		return 0;
	return override(
	    &config_table, config, "--verbose", "log.level", "debug", error);
}

bool
config_has_witness(const struct config *config)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		if (config->listeners[i].reply.kind == REPLY_WITNESS)
			return true;
	}
	return false;
}

/* Makes what a listener derives from its texts. */
static int
derive_listener(
    struct listener_config *listener, const struct config *config, char *error)
{
	listener->max_message = listener->max_message_setting != 0
	    ? listener->max_message_setting
	    : config->limits.max_message;
	if (address_parse(listener->address_text, &listener->address, error,
		CONFIG_ERROR_MAX) < 0 ||
	    reply_parse_server(
		listener->reply_text, &listener->reply, error, CONFIG_ERROR_MAX) != 0)
		return -1;
	return 0;
}

/* The source of a value that is not a default. */
static const char *
source_of(const struct config *config, const char *name)
{
	const char *source = settings_origin_of(&config_table, config, name);
	return source != NULL ? source : "configuration";
}

/* Without a list, any client could announce any address. */
static int
check_proxy_protocol(const struct config *config, size_t i, char *error)
{
	const struct listener_config *listener = &config->listeners[i];
	char name[64], shown[PRINTABLE_TAIL_MAX];
	/* The file of a Unix socket determines which processes may connect. */
	if (listener->proxy_protocol == PROXY_OFF || listener->proxy_from_count > 0 ||
	    address_is_unix(&listener->address))
		return 0;
	snprintf(name, sizeof(name), "listeners[%zu].proxy_protocol", i);
	snprintf(error, CONFIG_ERROR_MAX,
	    "%s: %s: found \"%s\" without proxy_from, expected the prefixes of the load balancers there, such as [\"10.0.0.0/8\"]",
	    printable_tail(source_of(config, name), shown, sizeof(shown)), name,
	    proxy_protocol_names[listener->proxy_protocol]);
	return -1;
}

/* Some replies take the whole stream. */
static int
check_framing(const struct config *config, size_t i, char *error)
{
	const struct listener_config *listener = &config->listeners[i];
	char name[64], what[160];
	bool is_witness = listener->reply.kind == REPLY_WITNESS;
	if ((!is_witness && listener->reply.kind != REPLY_CONVERSATION) ||
	    listener->framing == FRAMING_STREAM)
		return 0;
	snprintf(name, sizeof(name), "listeners[%zu].framing", i);
	snprintf(what, sizeof(what), "%s: found \"%s\", expected \"stream\": %s", name,
	    framing_names[listener->framing],
	    is_witness ? "the commands of a witness are lines"
		       : "the file of a conversation says where its messages end");
	return fail(error, source_of(config, name), what);
}

static int
check_kind(struct config *config, size_t i, char *error)
{
	char name[64], reason[CONFIG_ERROR_MAX - 160], what[CONFIG_ERROR_MAX - 64];
	const char *setting;
	if (listener_kind_derive(
		&config->listeners[i], &setting, reason, sizeof(reason)) == 0)
		return 0;
	snprintf(name, sizeof(name), "listeners[%zu].%s", i, setting);
	snprintf(what, sizeof(what), "%s: %s", name, reason);
	return fail(error, source_of(config, name), what);
}

/* The file of a reply that is a conversation; `file` is that of the configuration. */
static int
derive_conversation(struct config *config, const char *file, size_t i, char *error)
{
	struct listener_config *listener = &config->listeners[i];
	char name[64], reason[CONFIG_ERROR_MAX], shown[PRINTABLE_TAIL_MAX];
	if (listener->reply.kind != REPLY_CONVERSATION)
		return 0;
	/* A name of the command line leads from the working directory. */
	snprintf(name, sizeof(name), "listeners[%zu].reply", i);
	const char *source = source_of(config, name);
	bool is_in_file = file != NULL && strcmp(source, file) == 0;
	if (conversation_reply_load(listener, is_in_file ? source : NULL, reason) == 0)
		return 0;
	snprintf(error, CONFIG_ERROR_MAX, "%s: %s: %.400s",
	    printable_tail(source, shown, sizeof(shown)), name, reason);
	return -1;
}

struct named_file {
	const struct config *config;
	const char *file; /* of the configuration; NULL: none */
};

/* A tls_files_source: a name of the command line leads from the working directory. */
static const char *
file_that_names(const char *name, void *argument)
{
	const struct named_file *named = argument;
	const char *source = source_of(named->config, name);
	return named->file != NULL && strcmp(source, named->file) == 0 ? source : NULL;
}

static int
derive_tls(struct config *config, const char *file, size_t i, char *error)
{
	struct named_file named = { config, file };
	char reason[CONFIG_ERROR_MAX], name[64], shown[PRINTABLE_TAIL_MAX];
	if (tls_files_load(&config->listeners[i], i, file_that_names, &named, reason) ==
	    0)
		return 0;
	snprintf(name, sizeof(name), "listeners[%zu].tls.certificate", i);
	const char *source = settings_origin_of(&config_table, config, name);
	if (source == NULL)
		source = file != NULL ? file : "configuration";
	snprintf(error, CONFIG_ERROR_MAX, "%s: %.400s",
	    printable_tail(source, shown, sizeof(shown)), reason);
	return -1;
}

bool
config_has_tls(const struct config *config)
{
	bool has_tls = false;
	for (size_t i = 0; i < config->listener_count; i++)
		has_tls = has_tls || config->listeners[i].tls.context != NULL;
	return has_tls;
}

int
config_share_tickets(struct config *config, struct tls_tickets *tickets, char *error)
{
	config->tickets = tickets;
	if (config_has_tls(config) && tickets->since_ns == 0 &&
	    tls_tickets_start(tickets, clock_now_ns()) < 0)
		return fail(error, "tls", "cannot make random keys for tickets");
	for (size_t i = 0; i < config->listener_count; i++) {
		struct tls_context *context = config->listeners[i].tls.context;
		if (context != NULL)
			tls_context_set_tickets(context, tickets);
	}
	return 0;
}

/* After the parts of the listeners that faults depend on. */
static int
derive_faults(struct config *config, char *error)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		char reason[CONFIG_ERROR_MAX], name[64], text[CONFIG_ERROR_MAX - 64];
		if (listener_faults_reset(&config->listeners[i], reason) == 0)
			continue;
		snprintf(name, sizeof(name), "listeners[%zu].faults", i);
		snprintf(text, sizeof(text), "listeners[%zu].%.380s", i, reason);
		return fail(error, source_of(config, name), text);
	}
	return 0;
}

/* One address of the configuration. */
struct named_address {
	char name[64];  /* of the setting */
	char owner[32]; /* "listeners[1]" */
	const char *text;
	struct address address;
};

static int
fail_overlap(const struct config *config, const struct named_address *second,
    const struct named_address *first, char *error)
{
	char shown[PRINTABLE_TAIL_MAX];
	const char *source =
	    printable_tail(source_of(config, second->name), shown, sizeof(shown));
	if (address_is_unix(&first->address) ||
	    address_equal(&first->address, &second->address))
		snprintf(error, CONFIG_ERROR_MAX,
		    "%s: %s: found \"%s\", the address of %s, expected another one",
		    source, second->name, second->text, first->owner);
	else
		snprintf(error, CONFIG_ERROR_MAX,
		    "%s: %s: found \"%s\", which overlaps %s, \"%s\", expected another port, or one of the two",
		    source, second->name, second->text, first->owner, first->text);
	return -1;
}

static void
name_listener(const struct config *config, size_t i, struct named_address *ret)
{
	const struct listener_config *listener = &config->listeners[i];
	snprintf(ret->owner, sizeof(ret->owner), "listeners[%zu]", i);
	snprintf(ret->name, sizeof(ret->name), "%s.address", ret->owner);
	ret->text = listener->address_text;
	ret->address = listener->address;
}

/* Compares an address with those of the listeners below `end`. */
static int
check_against_listeners(const struct config *config, const struct named_address *second,
    size_t end, char *error)
{
	struct named_address first = { .text = NULL };
	for (size_t i = 0; i < end; i++) {
		name_listener(config, i, &first);
		if (address_overlaps(&first.address, &second->address) ||
		    unix_socket_is_same_path(&first.address, &second->address))
			return fail_overlap(config, second, &first, error);
	}
	return 0;
}

static int
check_admin_socket(const struct config *config, char *error)
{
	struct named_address second = { .name = "admin.socket" };
	char text[sizeof("unix:") + PATH_MAX];
	if (config->admin.socket == NULL)
		return 0;
	second.text = config->admin.socket;
	snprintf(text, sizeof(text), "unix:%s", second.text);
	if (address_parse(text, &second.address, error, CONFIG_ERROR_MAX) < 0)
		return -1;
	return check_against_listeners(config, &second, config->listener_count, error);
}

/* A socket of each address must be bindable while the others are. */
static int
check_distinct(const struct config *config, char *error)
{
	struct named_address second = { .text = NULL };
	for (size_t i = 0; i < config->listener_count; i++) {
		name_listener(config, i, &second);
		if (check_against_listeners(config, &second, i, error) < 0)
			return -1;
	}
	if (check_admin_socket(config, error) < 0)
		return -1;
	if (config->admin.address == NULL)
		return 0;
	second = (struct named_address){ .name = "admin.address",
		.text = config->admin.address };
	if (address_parse(
		config->admin.address, &second.address, error, CONFIG_ERROR_MAX) < 0)
		return -1;
	return check_against_listeners(config, &second, config->listener_count, error);
}

static int
derive(struct config *config, const char *file, char *error)
{
	config->workers =
	    config->workers_setting != 0 ? config->workers_setting : resources_cpus();
	if (config->workers > CONFIG_WORKERS_MAX)
		config->workers = CONFIG_WORKERS_MAX;
	if (config->instance != NULL)
		snprintf(config->instance_name, sizeof(config->instance_name), "%s",
		    config->instance);
	else if (gethostname(config->instance_name, sizeof(config->instance_name) - 1) <
	    0)
		snprintf(
		    config->instance_name, sizeof(config->instance_name), "unknown");
	for (size_t i = 0; i < config->listener_count; i++)
		if (derive_listener(&config->listeners[i], config, error) < 0 ||
		    check_kind(config, i, error) < 0 ||
		    check_proxy_protocol(config, i, error) < 0 ||
		    check_framing(config, i, error) < 0 ||
		    derive_conversation(config, file, i, error) < 0 ||
		    derive_tls(config, file, i, error) < 0)
			return -1;
	if (derive_faults(config, error) < 0)
		return -1;
	if (config->log.syslog && config->log.file != NULL)
		return fail(error, source_of(config, "log.syslog"),
		    "log.syslog: found true and a log.file, expected log.file or log.syslog, not both");
	if (config->group != NULL && config->user == NULL)
		return fail(error, source_of(config, "group"),
		    "group: found a group without a user, expected both");
	return check_distinct(config, error);
}

int
config_load(const struct config_sources *sources, struct config *ret, char *error)
{
	struct config config = { 0 };
	errno = 0;
	if (settings_read_defaults(&config_table, &config, error, CONFIG_ERROR_MAX) <
		0 ||
	    load_file(sources->file, &config, error) != 0 ||
	    load_listens(sources->listen, &config, error) != 0 ||
	    load_overrides(sources, &config, error) != 0 ||
	    derive(&config, sources->file, error) != 0) {
		config_finish(&config);
		printable_sanitize(error); /* one line, and JSON can hold it */
		return -1;
	}
	*ret = config;
	return 0;
}

int
config_exit_status(void)
{
	return errno == ENOMEM ? EX_OSERR : EX_CONFIG;
}

void
config_finish(struct config *config)
{
	for (size_t i = 0; i < config->listener_count; i++) {
		reply_finish(&config->listeners[i].reply);
		conversation_reply_finish(&config->listeners[i]);
		tls_files_finish(&config->listeners[i]);
		free(config->listeners[i].allow);
		free(config->listeners[i].deny);
		free(config->listeners[i].proxy_from);
		free(config->listeners[i].allow_users);
		free(config->listeners[i].allow_groups);
		free(config->listeners[i].faults);
	}
	settings_finish(&config_table, config);
}

char *
config_print(const struct config *config)
{
	return settings_write_values(&config_table, config);
}

char *
config_print_origins(const struct config *config)
{
	char *values = config_print(config), *whole = NULL;
	char *origins = settings_write_origins(&config_table, config);
	if (values != NULL && origins != NULL &&
	    asprintf(&whole, "{\"config\": %s,\n\"origins\": %s}", values, origins) < 0)
		whole = NULL;
	free(values);
	free(origins);
	return whole;
}

int
config_set_origin(struct config *config, const char *name, const char *source)
{
	return settings_origin_set(&config_table, config, name, source);
}

void
config_forget_origins(struct config *config)
{
	settings_origin_forget(&config_table, config, "");
}

void
config_visit_origins(
    const struct config *config, settings_origin_visitor visit, void *arg)
{
	settings_origin_visit(&config_table, config, visit, arg);
}

char *
config_print_schema(void)
{
	return settings_write_schema(&config_table);
}
