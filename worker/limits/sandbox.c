#include "worker/limits/sandbox.h"

#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/types.h>

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pwd.h>
#include <seccomp.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>

#include "lib/capabilities.h"
#include "lib/log.h"
#include "net/mptcp.h"

#if defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(memory_sanitizer) ||             \
    __has_feature(thread_sanitizer)
#define HAS_SANITIZER 1
#endif
#elif defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define HAS_SANITIZER 1
#endif
#ifndef HAS_SANITIZER
#define HAS_SANITIZER 0
#endif

bool
sandbox_is_possible(void)
{
	return !HAS_SANITIZER;
}

static int
find_group(const char *name, gid_t *ret)
{
	errno = 0;
	const struct group *group = getgrnam(name);
	if (group == NULL) {
		log_errorx("[group_unknown group] unknown group \"%s\"", name);
		return -1;
	}
	*ret = group->gr_gid;
	return 0;
}

static int
change_user(const char *user, const char *group)
{
	const struct passwd *entry = getpwnam(user);
	if (entry == NULL) {
		log_errorx("[user_unknown user] unknown user \"%s\"", user);
		return -1;
	}
	uid_t uid = entry->pw_uid;
	gid_t gid = entry->pw_gid;
	if (group != NULL && find_group(group, &gid) < 0)
		return -1;
	if (capabilities_limit_bounding_set(0) < 0 || initgroups(user, gid) < 0 ||
	    setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) {
		log_error("[user_change_failed user] cannot become user \"%s\"", user);
		return -1;
	}
	if (uid != 0 && setuid(0) == 0) {
		log_errorx("[user_change_reversible user] "
			   "user \"%s\" can still become root: not serving",
		    user);
		return -1;
	}
	return 0;
}

void
sandbox_warn_about_user(const char *user)
{
	const struct passwd *entry = user != NULL ? getpwnam(user) : NULL;
	if (entry == NULL || geteuid() == 0 || entry->pw_uid == geteuid())
		return;
	log_warnx(
	    "[user_unchanged uid user] "
	    "workers run as uid %u, not as user \"%s\": only root can change the user",
	    (unsigned)geteuid(), user);
}

int
sandbox_drop_privileges(const char *user, const char *group)
{
	bool may_become = user != NULL && geteuid() == 0;
	if (may_become && change_user(user, group) < 0)
		return -1;
	if (capabilities_limit_bounding_set(0) == 0 && capabilities_limit(0) == 0 &&
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		return 0;
	log_error("[privileges_failed] cannot drop root privileges");
	return -1;
}

/* From linux/landlock.h, which may be missing or older than the kernel. */
enum {
	LANDLOCK_CREATE_RULESET = 444,
	LANDLOCK_RESTRICT_SELF = 446,
	LANDLOCK_VERSION = 1, /* a flag */
};

struct ruleset {
	uint64_t handled_access_fs;
	uint64_t handled_access_net; /* from version 4 */
	uint64_t scoped;             /* from version 6 */
};

/* Every right that this version of Landlock can revoke. */
static struct ruleset
all_rights(long version)
{
	/* Version 1 has 13 rights; 2 adds REFER, 3 TRUNCATE, 5 IOCTL_DEV. */
	static const uint8_t fs_bits[] = { 13, 13, 14, 15, 15, 16 };
	long last = (long)sizeof(fs_bits) - 1;
	return (struct ruleset){
		.handled_access_fs =
		    (UINT64_C(1) << fs_bits[version < last ? version : last]) - 1,
		.handled_access_net = version >= 4 ? 3 : 0,
		.scoped = version >= 6 ? 3 : 0,
	};
}

static size_t
ruleset_bytes(long version)
{
	if (version >= 6)
		return sizeof(struct ruleset);
	return version >= 4 ? offsetof(struct ruleset, scoped)
			    : offsetof(struct ruleset, handled_access_net);
}

/* Revokes all rights, without exception, if the kernel has Landlock and no filter (of a
 * container) denies its system calls. */
static int
enter_landlock(void)
{
	long version = syscall(LANDLOCK_CREATE_RULESET, NULL, 0, LANDLOCK_VERSION);
	if (version < 1) {
		log_debug("[landlock_unsupported] "
			  "sandbox: the kernel does not support Landlock");
		return 0;
	}
	struct ruleset ruleset = all_rights(version);
	long fd = syscall(LANDLOCK_CREATE_RULESET, &ruleset, ruleset_bytes(version), 0);
	long rc = fd < 0 ? -1 : syscall(LANDLOCK_RESTRICT_SELF, fd, 0);
	int saved = errno;
	if (fd >= 0)
		close((int)fd);
	errno = saved;
	if (rc < 0 && (errno == ENOSYS || errno == EPERM)) {
		log_debug(
		    "[landlock_denied reason] sandbox: a filter denies Landlock: %s",
		    strerror(errno));
		return 0;
	}
	return rc < 0 ? -1 : 0;
}

/* Allowed with any arguments. */
static const int worker_calls[] = {
	/* the loop */
	SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait), SCMP_SYS(epoll_pwait2),
	SCMP_SYS(epoll_ctl), SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select),
	SCMP_SYS(_newselect), SCMP_SYS(pselect6), SCMP_SYS(clock_gettime),
	SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(restart_syscall),
	SCMP_SYS(timerfd_settime),
	/* the same where time had 32 bits */
	SCMP_SYS(clock_gettime64), SCMP_SYS(ppoll_time64), SCMP_SYS(pselect6_time64),
	SCMP_SYS(timerfd_settime64), SCMP_SYS(futex_time64),
	/* connections */
	SCMP_SYS(accept4), SCMP_SYS(recvfrom), SCMP_SYS(recv), SCMP_SYS(send),
	SCMP_SYS(shutdown), SCMP_SYS(close), SCMP_SYS(getsockname),
	SCMP_SYS(getpeername), SCMP_SYS(listen), /* the fault backlog */
	/* channel and transfers */
	SCMP_SYS(recvmsg), SCMP_SYS(memfd_create), SCMP_SYS(read), SCMP_SYS(write),
	SCMP_SYS(pwritev2), SCMP_SYS(lseek), SCMP_SYS(_llseek),
	/* memory */
	SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(madvise),
	/* the C library: locks, ids, abort messages */
	SCMP_SYS(futex), SCMP_SYS(getrandom), SCMP_SYS(getpid), SCMP_SYS(gettid),
	SCMP_SYS(writev), SCMP_SYS(rt_sigreturn), SCMP_SYS(rt_sigprocmask),
	SCMP_SYS(rt_sigaction), SCMP_SYS(exit), SCMP_SYS(exit_group)
};

/* A keeper waits, asks the kernel about sockets, passes them on in packets with a
 * memory file, and closes them. */
static const int keeper_calls[] = { SCMP_SYS(ppoll), SCMP_SYS(poll),
	SCMP_SYS(ppoll_time64), SCMP_SYS(clock_gettime), SCMP_SYS(clock_gettime64),
	SCMP_SYS(clock_nanosleep), SCMP_SYS(clock_nanosleep_time64),
	SCMP_SYS(gettimeofday), SCMP_SYS(time), SCMP_SYS(restart_syscall),
	SCMP_SYS(getsockopt), SCMP_SYS(getpeername), SCMP_SYS(getsockname),
	SCMP_SYS(shutdown), SCMP_SYS(close), SCMP_SYS(recvmsg), SCMP_SYS(memfd_create),
	SCMP_SYS(write), SCMP_SYS(brk), SCMP_SYS(munmap), SCMP_SYS(mremap),
	SCMP_SYS(madvise), SCMP_SYS(futex), SCMP_SYS(getrandom), SCMP_SYS(getpid),
	SCMP_SYS(gettid), SCMP_SYS(writev), SCMP_SYS(rt_sigreturn),
	SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigaction), SCMP_SYS(prlimit64),
	SCMP_SYS(getppid), SCMP_SYS(fallocate), SCMP_SYS(send), SCMP_SYS(exit),
	SCMP_SYS(exit_group) };

/* Level and number: the same number is another option of another level. */
#define OPTION(level, number)                                                          \
	{ 1, SCMP_CMP_EQ, (level), 0 },                                                \
	{                                                                              \
		2, SCMP_CMP_EQ, (number), 0                                            \
	}

/* The filter cannot see whether sendmsg(2), which passes descriptors on, names an
 * address. With MSG_FASTOPEN that would connect a listening socket which was shut down;
 * without it only a datagram socket uses an address, and there is none. */
#define NO_SEND_FLAG_BUT_NOSIGNAL                                                      \
	{                                                                              \
		2, SCMP_CMP_EQ, MSG_NOSIGNAL, 0                                        \
	}
#define NO_SEND_ADDRESS                                                                \
	{                                                                              \
		4, SCMP_CMP_EQ, 0, 0                                                   \
	}

/* Allowed on a condition: sends to the connected peer, memory that is not executable
 * and does not become writable (lib/shared_memory.h), the spare descriptor, the reset
 * of a refused connection, the filter that blocks new connections. */
struct narrow_call {
	int call;
	struct scmp_arg_cmp conditions[2]; /* op 0: none */
};
static const struct narrow_call worker_narrow_calls[] = {
	{ SCMP_SYS(mmap), { { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } } },
	{ SCMP_SYS(mmap2), { { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } } },
	{ SCMP_SYS(mprotect),
	    { { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC | PROT_WRITE, 0 } } },
	{ SCMP_SYS(sendto), { NO_SEND_ADDRESS } },
	{ SCMP_SYS(sendmsg), { NO_SEND_FLAG_BUT_NOSIGNAL } },
	{ SCMP_SYS(fcntl), { { 1, SCMP_CMP_EQ, F_DUPFD_CLOEXEC, 0 } } },
	{ SCMP_SYS(fcntl64), { { 1, SCMP_CMP_EQ, F_DUPFD_CLOEXEC, 0 } } },
	/* sandbox_hide_memory(), when keys arrive with a connection */
	{ SCMP_SYS(prctl),
	    { { 0, SCMP_CMP_EQ, PR_SET_DUMPABLE, 0 }, { 1, SCMP_CMP_EQ, 0, 0 } } },
	{ SCMP_SYS(setsockopt), { OPTION(SOL_SOCKET, SO_LINGER) } },
	{ SCMP_SYS(getsockopt), { OPTION(SOL_SOCKET, SO_TYPE) } },
	{ SCMP_SYS(getsockopt), { OPTION(SOL_SOCKET, SO_ACCEPTCONN) } },
	/* the process at the other end of a Unix socket */
	{ SCMP_SYS(getsockopt), { OPTION(SOL_SOCKET, SO_PEERCRED) } },
	{ SCMP_SYS(getsockopt), { OPTION(SOL_SOCKET, SO_PEERGROUPS) } },
	{ SCMP_SYS(getsockopt), { OPTION(MPTCP_LEVEL, MPTCP_INFO_OPTION) } },
	/* what the reply "whoami" tells */
	{ SCMP_SYS(getsockopt), { OPTION(SOL_SOCKET, SO_INCOMING_CPU) } },
	{ SCMP_SYS(getsockopt), { OPTION(IPPROTO_TCP, TCP_INFO) } },
	{ SCMP_SYS(getsockopt), { OPTION(IPPROTO_TCP, TCP_SAVED_SYN) } },
	{ SCMP_SYS(setsockopt), { OPTION(SOL_SOCKET, SO_ATTACH_FILTER) } },
	/* what the reply "witness" tells, and its command "keepalive" */
	{ SCMP_SYS(ioctl), { { 1, SCMP_CMP_EQ, SIOCINQ, 0 } } },
	{ SCMP_SYS(setsockopt), { OPTION(SOL_SOCKET, SO_KEEPALIVE) } },
	{ SCMP_SYS(setsockopt), { OPTION(IPPROTO_TCP, TCP_KEEPIDLE) } },
	{ SCMP_SYS(setsockopt), { OPTION(IPPROTO_TCP, TCP_KEEPINTVL) } },
};
static const struct narrow_call keeper_narrow_calls[] = {
	/* the log, if it is a socket */
	{ SCMP_SYS(sendto), { NO_SEND_ADDRESS } },
	{ SCMP_SYS(sendmsg), { NO_SEND_FLAG_BUT_NOSIGNAL } },
	{ SCMP_SYS(fcntl), { { 1, SCMP_CMP_EQ, F_DUPFD_CLOEXEC, 0 } } },
	{ SCMP_SYS(fcntl64), { { 1, SCMP_CMP_EQ, F_DUPFD_CLOEXEC, 0 } } },
	{ SCMP_SYS(mmap), { { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } } },
	{ SCMP_SYS(mmap2), { { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC, 0 } } },
	{ SCMP_SYS(mprotect),
	    { { 2, SCMP_CMP_MASKED_EQ, PROT_EXEC | PROT_WRITE, 0 } } },
	{ SCMP_SYS(setsockopt), { OPTION(SOL_SOCKET, SO_LINGER) } },
	{ SCMP_SYS(ioctl), { { 1, SCMP_CMP_EQ, SIOCINQ, 0 } } },
	{ SCMP_SYS(ioctl), { { 1, SCMP_CMP_EQ, SIOCOUTQ, 0 } } },
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
static const struct filter_rules {
	const int *calls;
	size_t call_count;
	const struct narrow_call *narrow_calls;
	size_t narrow_call_count;
} worker_rules = { worker_calls, COUNT(worker_calls), worker_narrow_calls,
	COUNT(worker_narrow_calls) },
  keeper_rules = { keeper_calls, COUNT(keeper_calls), keeper_narrow_calls,
	  COUNT(keeper_narrow_calls) };

static int
permit_all(scmp_filter_ctx filter, const struct filter_rules *rules)
{
	int rc = 0;
	for (size_t i = 0; rc == 0 && i < rules->call_count; i++)
		rc = seccomp_rule_add(filter, SCMP_ACT_ALLOW, rules->calls[i], 0);
	for (size_t i = 0; rc == 0 && i < rules->narrow_call_count; i++)
		rc = seccomp_rule_add_array(filter, SCMP_ACT_ALLOW,
		    rules->narrow_calls[i].call,
		    rules->narrow_calls[i].conditions[1].op != 0 ? 2 : 1,
		    rules->narrow_calls[i].conditions);
	if (rc < 0)
		return rc;
	/* abort(3) signals the process itself. */
	return seccomp_rule_add(filter, SCMP_ACT_ALLOW, SCMP_SYS(tgkill), 1,
	    SCMP_A0(SCMP_CMP_EQ, (scmp_datum_t)getpid(), 0));
}

static int
enter_seccomp(uint32_t action, const struct filter_rules *rules)
{
	scmp_filter_ctx filter = seccomp_init(action);
	if (filter == NULL) {
		errno = ENOMEM;
		return -1;
	}
	int rc = seccomp_attr_set(filter, SCMP_FLTATR_ACT_BADARCH, action);
	if (rc == 0)
		rc = permit_all(filter, rules);
	/* sendto(2) is the only call of each message that has a condition, which the
	 * kernel checks each time: at the front of the filter that costs 9 ns less. */
	if (rc == 0)
		rc = seccomp_syscall_priority(filter, SCMP_SYS(sendto), UINT8_MAX);
	if (rc == 0)
		rc = seccomp_load(filter);
	seccomp_release(filter);
	errno = -rc;
	return rc < 0 ? -1 : 0;
}

static int
enter(enum seccomp_use seccomp, const struct filter_rules *rules)
{
	if (!sandbox_is_possible())
		return 0;
	/* The C library would read the time zone at the first date: too late then. */
	tzset();
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || enter_landlock() < 0) {
		log_error("[landlock_failed] "
			  "cannot restrict file system access (Landlock)");
		return -1;
	}
	if (seccomp == SECCOMP_OFF)
		return 0;
	uint32_t action = seccomp == SECCOMP_ON ? SCMP_ACT_KILL_PROCESS : SCMP_ACT_LOG;
	if (enter_seccomp(action, rules) == 0)
		return 0;
	log_error("[seccomp_failed] "
		  "cannot install the seccomp filter (fix: security.seccomp \"off\")");
	return -1;
}

void
sandbox_hide_memory(void)
{
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
		log_warn("[memory_hide_failed] "
			 "sandbox: cannot forbid core files, which would have keys");
}

int
sandbox_enter(enum seccomp_use seccomp)
{
	return enter(seccomp, &worker_rules);
}

int
sandbox_enter_keeper(enum seccomp_use seccomp)
{
	return enter(seccomp, &keeper_rules);
}
