#!/usr/bin/env python3
"""deny_syscalls.py ERRNO CALL[,CALL...] COMMAND [ARG...] - runs the command where these
system calls fail with ERRNO (ENOSYS, EPERM, ...), as on an older kernel or below the
filter of a container.

CALL  a name, NAME/ARGUMENT=VALUE (only with this value of the argument, counted from 0), or
      "new" for all system calls that are newer than Linux 4.18
"""
import ctypes
import errno
import os
import sys

ALLOW, ERRNO, EQUAL = 0x7FFF0000, 0x00050000, 4
# From Linux 5.0 on the numbers are the same on all architectures.
NEW = range(424, 512)


class Condition(ctypes.Structure):
    _fields_ = [("arg", ctypes.c_uint), ("op", ctypes.c_int),
                ("a", ctypes.c_uint64), ("b", ctypes.c_uint64)]


def conditions(call):
    """(number, condition or None) for each system call that CALL names."""
    if call == "new":
        return [(number, None) for number in NEW]
    name, _, rest = call.partition("/")
    number = library.seccomp_syscall_resolve_name(name.encode())
    if number == -1:
        raise SystemExit(f"deny_syscalls.py: {name}: unknown system call")
    if not rest:
        return [(number, None)]
    argument, _, value = rest.partition("=")
    return [(number, Condition(int(argument), EQUAL, int(value), 0))]


library = ctypes.CDLL("libseccomp.so.2")
library.seccomp_init.restype = ctypes.c_void_p
context = ctypes.c_void_p(library.seccomp_init(ctypes.c_uint32(ALLOW)))
action = ctypes.c_uint32(ERRNO | getattr(errno, sys.argv[1]))
for item in sys.argv[2].split(","):
    for call_number, condition in conditions(item):
        rc = library.seccomp_rule_add_array(
            context, action, call_number, 0 if condition is None else 1,
            None if condition is None else ctypes.byref(condition))
        if rc < 0:
            raise SystemExit(f"deny_syscalls.py: {item}: {os.strerror(-rc)}")
rc = library.seccomp_load(context)
if rc < 0:
    raise SystemExit(f"deny_syscalls.py: {os.strerror(-rc)}")
os.execvp(sys.argv[3], sys.argv[3:])
