#!/usr/bin/env python3
"""killer.py YODELD_PID COUNT [SECONDS] - kills COUNT workers of a yodeld, one after the other,
by SIGKILL, SIGSEGV and SIGABRT in turn at random moments; each has lived for 0.5 s, so that its
slot does not back off. Prints the number of deaths; exits 1 if there are none left to kill for
SECONDS (60)."""
import os
import random
import signal
import sys
import time

KINDS = (signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT)
AGE = 0.55  # seconds; more than RECOVERABLE_QUIET_NS of master/workers/slot.c


def workers(master):
    found = []
    with open(f"/proc/{master}/task/{master}/children", encoding="ascii") as children:
        pids = children.read().split()
    for pid in pids:
        try:
            with open(f"/proc/{pid}/comm", encoding="ascii") as comm:
                name = comm.read().strip()
            with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
                fields = stat.read().rpartition(")")[2].split()
        except OSError:
            continue
        started = int(fields[19]) / os.sysconf("SC_CLK_TCK")
        age = time.clock_gettime(time.CLOCK_BOOTTIME) - started
        if name != "yodeld-keeper" and fields[0] not in "ZX" and age >= AGE:
            found.append(int(pid))
    return found


def main():
    master, count = int(sys.argv[1]), int(sys.argv[2])
    limit = float(sys.argv[3]) if len(sys.argv) > 3 else 60
    deaths, last = 0, time.monotonic()
    while deaths < count:
        found = workers(master)
        if found:
            time.sleep(random.random() * 0.05)
            try:
                os.kill(random.choice(found), KINDS[deaths % len(KINDS)])
            except ProcessLookupError:  # it has just exited
                continue
            deaths, last = deaths + 1, time.monotonic()
        elif time.monotonic() - last > limit:
            sys.exit(f"after {deaths} deaths no worker has been there for {limit} s")
        time.sleep(0.01)
    print(deaths)


main()
