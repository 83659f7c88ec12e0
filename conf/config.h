/*
 * config.h - the configuration of yodeld: what the table of settings (conf/config.c)
 * fills.
 *
 * A configuration is loaded whole and checked whole, or not at all. It is read-only
 * from then on; the master and its workers share it over fork.
 */
#ifndef CONF_CONFIG_H
#define CONF_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/log.h"
#include "lib/settings/settings.h"

#include "net/address.h"

#include "proto/framing.h"
#include "proto/reply.h"

#define CONFIG_WORKERS_MAX 256
#define CONFIG_LISTENERS_MAX 64
#define CONFIG_PREFIXES_MAX 1024 /* to allow, and to deny, at one listener */

enum event_method { EVENTS_AUTO, EVENTS_EPOLL, EVENTS_POLL, EVENTS_SELECT };
extern const char
    *const event_method_names[]; /* by enum event_method, NULL at the end */

/* What becomes of a worker that makes a system call which its loop does not need. */
enum seccomp_use { SECCOMP_ON, SECCOMP_LOG, SECCOMP_OFF };
extern const char *const seccomp_names[]; /* by enum seccomp_use, NULL at the end */

/* How a listener's connections spread over the workers. */
enum balance {
	BALANCE_HASH, /* by the kernel's hash of the addresses */
	BALANCE_CPU,  /* worker i takes who arrives on CPU i */
	BALANCE_MOVE, /* by hash, and long-lived ones are evened out
		       * (master/changes/rebalance.c)
		       */
};
extern const char *const balance_names[]; /* by enum balance, NULL at the end */

struct listener_config {
	char *address_text; /* as it was given: the name of the listener */
	struct address address;
	char *reply_text; /* as it was given */
	struct reply reply;
	enum framing framing;
	uint64_t max_message; /* bytes of payload; limits.max_message unless given */
	uint32_t backlog;     /* connections in the accept queue of each worker */
	bool nodelay;
	enum balance balance;
	char *congestion; /* tcp(7), TCP_CONGESTION; NULL: the system's default */
	struct address_prefix *allow; /* empty: everybody */
	char **allow_texts;           /* as they were given */
	size_t allow_count;           /* of both */
	struct address_prefix *deny;  /* wins over allow */
	char **deny_texts;
	size_t deny_count;
	uint32_t max_connections_per_address; /* 0: any number */
	uint32_t accept_rate;                 /* a second and address; 0: any rate */
};

struct config {
	uint32_t workers; /* "auto" is already the CPUs allowed to the process */
	struct listener_config *listeners;
	size_t listener_count;
	enum event_method event_method;
	uint64_t spin_ns;  /* a worker looks so long before it sleeps; 0: not at all */
	bool cpu_affinity; /* worker i on the i-th allowed CPU */
	char *user;        /* NULL: keep the one that started us */
	char *group;       /* NULL: the user's */
	struct {
		uint64_t max_connections; /* in all; 0: what the descriptors allow */
		uint64_t max_message;     /* bytes */
		uint64_t max_pending; /* bytes of reply that may wait on a connection */
	} limits;
	struct { /* 0: off */
		uint64_t idle_ns;
		uint64_t stalled_write_ns;
		uint64_t drain_ns; /* at most this long for a stop in order */
		uint64_t
		    drain_quiet_ns; /* a drained connection closes when this quiet */
		uint64_t hung_ns;   /* a worker whose loop stands still this long */
	} timeouts;
	struct {
		enum log_level level;
		enum log_format format;
		char *file; /* NULL: stderr */
		bool syslog;
		enum log_console console; /* on stderr, beside the log */
	} log;
	struct {
		enum seccomp_use seccomp;
	} security;
	struct {
		char *socket;  /* path; NULL: none */
		char *group;   /* of the socket; NULL: the process's own */
		char *address; /* NULL: none */
	} admin;
	struct settings_origins origins; /* where the values come from */
};

/* What the command line adds to, or puts in the place of, the file; a later member
 * wins, but for `set`, which wins over all but is_verbose. */
struct config_sources {
	const char *file;       /* NULL: built-in default */
	const char *const *set; /* "KEY=VALUE", dotted keys, NULL at the end; or NULL */
	const char *const
	    *listen;         /* "ADDRESS[=REPLY]", replaces all listeners; or NULL */
	const char *workers; /* "N" or "auto"; or NULL */
	bool is_verbose;     /* log.level is debug */
};

#define CONFIG_ERROR_MAX 512

/* Loads, fills in defaults, checks. 0, or -1 with one line in error[CONFIG_ERROR_MAX]
 * (where: file, line and column, or the key's path; what was found, what was wanted).
 * Opens nothing but the file. On 0 the caller calls config_finish; *ret is untouched on
 * failure. */
int config_load(const struct config_sources *sources, struct config *ret, char *error)
    __attribute__((warn_unused_result));
void config_finish(struct config *config);

/* The effective configuration as JSON that loads back to the same; heap, owned by the
 * caller; NULL when out of memory. */
char *config_print(const struct config *config);
/* The same, and where each value came from: {"config": ..., "origins": {KEY: SOURCE}}.
 * SOURCE is "default", the path of the file, "--set", "--listen", "--workers",
 * "--verbose", or who has changed the value since. */
char *config_print_origins(const struct config *config);
/* A value has been changed by somebody. 0, or -1 with errno. */
int config_set_origin(struct config *config, const char *name, const char *source)
    __attribute__((warn_unused_result));
void config_forget_origins(struct config *config);
/* Calls visit for each value that is no default. */
void config_visit_origins(
    const struct config *config, settings_origin_visitor visit, void *arg);
/* The JSON Schema (draft 7) of the file, heap, owned by the caller. */
char *config_print_schema(void);

#endif
