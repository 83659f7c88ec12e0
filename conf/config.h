/*
 * config.h - the configuration of yodeld, filled from the tables in config_table.c.
 *
 * A configuration is loaded and checked as a whole, and read-only from then on; the
 * workers inherit it from the master by fork.
 */
#ifndef CONF_CONFIG_H
#define CONF_CONFIG_H

#include <sys/types.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/log.h"
#include "lib/settings/settings.h"
#include "net/address.h"
#include "net/address_prefix.h"
#include "net/proxy_header.h"
#include "net/socket_options.h"
#include "proto/faults/fault.h"
#include "proto/framing.h"
#include "proto/reply.h"

#define CONFIG_WORKERS_MAX 256
#define CONFIG_LISTENERS_MAX 64
#define CONFIG_PREFIXES_MAX 1024 /* in each of allow, deny and proxy_from */

enum event_method { EVENTS_AUTO, EVENTS_EPOLL, EVENTS_POLL, EVENTS_SELECT };
enum seccomp_use { SECCOMP_ON, SECCOMP_LOG, SECCOMP_OFF };
/* How a listener's connections are spread over the workers. */
enum balance {
	BALANCE_HASH, /* by the kernel's hash of the addresses */
	BALANCE_CPU,  /* worker i gets connections that arrive on CPU i */
	BALANCE_MOVE, /* by hash; the master evens out open connections */
};
/* By the enum, NULL at the end. */
extern const char *const event_method_names[], *const seccomp_names[];
extern const char *const balance_names[], *const proxy_protocol_names[];

struct tls_context;
struct tls_tickets;

/* Whether a client has to show a certificate. */
enum client_verify {
	CLIENT_VERIFY_NONE,
	CLIENT_VERIFY_OPTIONAL,
	CLIENT_VERIFY_REQUIRE
};
enum tls_version_choice { TLS_CHOICE_1_2, TLS_CHOICE_1_3 };
extern const char *const client_verify_names[], *const tls_version_names[];

/* The certificate for one name that clients ask for (RFC 6066, 3). */
struct tls_name_config {
	char *name; /* "example.org", "*.example.org" */
	char *certificate, *key;
};

/* The setting `tls`, as configured; relative paths become absolute. */
struct tls_listener_config {
	char *certificate, *key; /* PEM files; NULL: no TLS */
	char *client_ca;         /* PEM file */
	enum client_verify client_verify;
	enum tls_version_choice min_version, max_version;
	char *ciphers, *groups; /* NULL: the library's */
	char **alpn;            /* protocols, the preferred one first */
	size_t alpn_count;
	bool tickets;
	uint32_t expiry_warning_days; /* before a certificate expires; 0: then only */
	struct tls_name_config *sni;
	size_t sni_count;
	struct tls_context *context; /* of the files; NULL: no TLS */
};

struct listener_config {
	char *address_text; /* as configured: the name of the listener */
	struct address address;
	char *reply_text; /* as configured */
	struct reply reply;
	struct conversation *conversation; /* of the reply; NULL: none */
	enum framing framing;
	uint64_t max_message_setting; /* as configured, to be printed; 0: auto */
	uint64_t max_message; /* bytes of payload; limits.max_message unless given */
	uint32_t backlog;     /* connections in the accept queue of each worker */
	bool nodelay;
	enum balance balance_setting; /* as configured, to be printed */
	enum balance balance;         /* that of a Unix socket is never BALANCE_HASH */
	char *congestion; /* tcp(7), TCP_CONGESTION; NULL: the system's default */
	struct socket_options sockets;
	struct address_prefix *allow; /* empty: all */
	char **allow_texts;           /* as configured */
	size_t allow_count;           /* of both */
	struct address_prefix *deny;  /* overrides allow */
	char **deny_texts;
	size_t deny_count;
	enum proxy_versions proxy_protocol; /* headers that are expected */
	struct address_prefix *proxy_from;  /* balancers that send them */
	char **proxy_from_texts;
	size_t proxy_from_count;
	char *owner_text, *group_text; /* of the file of a Unix socket; NULL: own */
	char *mode_text;               /* octal; NULL: 0660 */
	uid_t owner;                   /* (uid_t)-1: that of the process */
	gid_t group;                   /* (gid_t)-1: the same */
	mode_t mode;
	char *
	    *allow_user_texts; /* users of a Unix socket; empty, with the groups: all */
	uint32_t *allow_users;
	size_t allow_user_count; /* of both */
	char **allow_group_texts;
	uint32_t *allow_groups;
	size_t allow_group_count;
	uint32_t max_connections_per_address; /* 0: any number */
	uint32_t accept_rate;                 /* a second and address; 0: any rate */
	struct tls_listener_config tls;
	char **fault_texts; /* as configured */
	size_t fault_text_count;
	struct fault *faults; /* in effect: those of the texts, or set at run time */
	size_t fault_count;
	uint64_t faults_since_ns; /* CLOCK_MONOTONIC: when they took effect */
	bool has_run_time_faults;
};

struct config {
	uint32_t workers_setting; /* as configured, to be printed; 0: auto */
	uint32_t workers;         /* "auto" is resolved */
	struct listener_config *listeners;
	size_t listener_count;
	enum event_method event_method;
	uint64_t spin_ns;       /* busy-poll before sleeping; 0: none */
	bool cpu_affinity;      /* worker i on the i-th allowed CPU */
	bool survive_crashes;   /* connections outlive a worker that dies */
	char *instance;         /* as configured; NULL: the host's name */
	char instance_name[65]; /* in replies of whoami */
	char *user;             /* NULL: unchanged */
	char *group;            /* NULL: the user's */
	uint64_t fault_seed;    /* of the decisions on faults */
	uint32_t fault_record;  /* faults that are remembered */
	struct {
		uint64_t max_connections; /* 0: as descriptors allow */
		uint64_t max_message;     /* bytes */
		uint64_t max_pending;     /* bytes of unsent replies of a connection */
		uint32_t handshakes;      /* connections of a worker, at a time */
	} limits;
	struct { /* 0: off */
		uint64_t idle_ns;
		uint64_t stalled_write_ns;
		uint64_t drain_ns;
		uint64_t drain_quiet_ns;
		uint64_t hung_ns;
		uint64_t handshake_ns;
	} timeouts;
	struct {
		enum log_level level;
		enum log_format format;
		char *file; /* NULL: stderr */
		bool syslog;
		enum log_console console; /* copied to stderr */
	} log;
	struct {
		enum seccomp_use seccomp;
	} security;
	struct {
		char *socket;  /* path; NULL: none */
		char *group;   /* of the socket; NULL: the process's own */
		char *address; /* NULL: none */
	} admin;
	struct tls_tickets *tickets; /* of its listeners with TLS, owned by the master;
					NULL: not yet given */
	struct settings_origins origins;
};

/* The file and what the command line changes. A later member overrides an earlier one,
 * except that `set` overrides all but is_verbose. */
struct config_sources {
	const char *file;       /* NULL: built-in default */
	const char *const *set; /* "KEY=VALUE", dotted keys, NULL at the end; or NULL */
	const char *const *listen; /* "ADDRESS[=REPLY]", replace the file's; or NULL */
	const char *workers;       /* "N" or "auto"; or NULL */
	bool is_verbose;           /* log.level is debug */
};

#define CONFIG_ERROR_MAX 512

/* Every key of the file, with its type, bounds, default and help: config_table.c. */
extern const struct settings config_table;          /* fills struct config */
extern const struct settings config_listener_table; /* fills struct listener_config */

/* Loads, fills in defaults, checks; opens the file and those that it names
 * (conversations, certificates, keys). 0, or -1 with one line in
 * error[CONFIG_ERROR_MAX]: file, line and column, or the option; what was found and
 * what was expected; errno is ENOMEM if memory ran out. On 0 the caller calls
 * config_finish. */
int config_load(const struct config_sources *sources, struct config *ret, char *error)
    __attribute__((warn_unused_result));
/* Exit status (sysexits) after config_load has failed, by its errno. */
int config_exit_status(void);
void config_finish(struct config *config);

/* True if a listener has the reply "witness". */
bool config_has_witness(const struct config *config);
/* True if a listener speaks TLS. */
bool config_has_tls(const struct config *config);
/* Gives all listeners with TLS the same keys for tickets, which outlive the
 * configuration and are made now if they are the first. 0, or -1 with one line in
 * error[CONFIG_ERROR_MAX]. */
int config_share_tickets(struct config *config, struct tls_tickets *tickets,
    char *error) __attribute__((warn_unused_result));

/* Whether config_open_log() could open the log file, apart from a missing folder in
 * /run or /var/log: a unit makes it. 0, or -1 with its line. */
int config_check_log(const struct config *config, char *error)
    __attribute__((warn_unused_result));
/* Sets destination, level and format of the log. 0, or -1 with one line in
 * error[CONFIG_ERROR_MAX] and the log unchanged. */
int config_open_log(const struct config *config, char *error)
    __attribute__((warn_unused_result));

/* The effective configuration as JSON that loads to the same values; heap, or NULL when
 * out of memory. */
char *config_print(const struct config *config);
/* As config_print(), with the source of each value: {"config": ..., "origins": {KEY:
 * SOURCE}}. SOURCE is "default", the path of the file, "--set", "--listen",
 * "--workers", "--verbose", or the command that has changed the value since. */
char *config_print_origins(const struct config *config);
/* Records that `source` has changed a value. 0, or -1 with errno. */
int config_set_origin(struct config *config, const char *name, const char *source)
    __attribute__((warn_unused_result));
void config_forget_origins(struct config *config);
/* Calls visit for each value that is not a default. */
void config_visit_origins(
    const struct config *config, settings_origin_visitor visit, void *arg);
/* The JSON Schema (draft 7) of the file; heap. */
char *config_print_schema(void);

#endif
