#include "worker/privileges.h"

#include <sys/prctl.h>
#include <sys/types.h>

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdbool.h>
#include <unistd.h>

#include "lib/capabilities.h"
#include "lib/log.h"

static int
find_group(const char *name, gid_t *ret)
{
	errno = 0;
	const struct group *group = getgrnam(name);
	if (group == NULL) {
		log_errorx("group \"%s\" is not known", name);
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
		log_errorx("user \"%s\" is not known", user);
		return -1;
	}
	uid_t uid = entry->pw_uid;
	gid_t gid = entry->pw_gid;
	if (group != NULL && find_group(group, &gid) < 0)
		return -1;
	if (capabilities_limit_bounding_set(0) < 0 || initgroups(user, gid) < 0 ||
	    setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0) {
		log_error("cannot become user \"%s\"", user);
		return -1;
	}
	if (uid != 0 && setuid(0) == 0) {
		log_errorx("user \"%s\" could become root again", user);
		return -1;
	}
	return 0;
}

void
privileges_warn(const char *user)
{
	const struct passwd *entry = user != NULL ? getpwnam(user) : NULL;
	if (entry == NULL || geteuid() == 0 || entry->pw_uid == geteuid())
		return;
	log_warnx("the workers stay user %u: only root can become \"%s\" (user)",
	    (unsigned)geteuid(), user);
}

int
privileges_drop(const char *user, const char *group)
{
	bool may_become = user != NULL && geteuid() == 0;
	if (may_become && change_user(user, group) < 0)
		return -1;
	if (capabilities_limit_bounding_set(0) == 0 && capabilities_limit(0) == 0 &&
	    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0)
		return 0;
	log_error("cannot give up what root may");
	return -1;
}
