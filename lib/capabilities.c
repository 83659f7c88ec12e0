#include "lib/capabilities.h"

#include <sys/prctl.h>
#include <sys/syscall.h>

#include <errno.h>
#include <stdbool.h>
#include <unistd.h>

#include <linux/capability.h>

#define SET_BITS 64

int
capabilities_limit_bounding_set(uint64_t keep)
{
	for (int number = 0; number < SET_BITS; number++) {
		/* PR_CAPBSET_READ: EINVAL if the kernel does not know it. */
		if ((keep & CAPABILITY(number)) != 0 ||
		    prctl(PR_CAPBSET_READ, number, 0, 0, 0) != 1)
			continue;
		if (prctl(PR_CAPBSET_DROP, number, 0, 0, 0) < 0)
			return errno == EPERM ? 0 : -1;
	}
	return 0;
}

int
capabilities_limit(uint64_t keep)
{
	struct __user_cap_header_struct header = { .version =
						       _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	/* EINVAL: kernels before 4.3 have no ambient set. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0 &&
	    errno != EINVAL)
		return -1;
	if (syscall(SYS_capget, &header, data) < 0)
		return -1;
	bool is_limited = true;
	for (int i = 0; i < _LINUX_CAPABILITY_U32S_3; i++) {
		uint32_t kept = data[i].permitted & (uint32_t)(keep >> (32 * i));
		is_limited = is_limited && data[i].permitted == kept &&
		    data[i].effective == kept && data[i].inheritable == 0;
		data[i].permitted = data[i].effective = kept;
		data[i].inheritable = 0;
	}
	/* A service manager may have forbidden capset(2) as well. */
	if (is_limited)
		return 0;
	return syscall(SYS_capset, &header, data) < 0 ? -1 : 0;
}

bool
capabilities_has(unsigned number)
{
	struct __user_cap_header_struct header = { .version =
						       _LINUX_CAPABILITY_VERSION_3 };
	struct __user_cap_data_struct data[_LINUX_CAPABILITY_U32S_3];
	return syscall(SYS_capget, &header, data) == 0 &&
	    (data[CAP_TO_INDEX(number)].effective & CAP_TO_MASK(number)) != 0;
}
