#!/usr/bin/env python3
"""survey_truth.py TRUTH SURVEY - compares a survey (yodel survey --json) with what is known of
the path (tests/pathlab truth): prints a line for each row, "right ID", "wrong ID: what was
found, what was expected", "unasked ID: reason" or "unknown ID" (the truth says nothing about
it), and exits with 1 if a row is wrong.

TRUTH and SURVEY are files or, TRUTH, the JSON itself. The table ROWS says which row answers
which key of the truth; a key that is absent means: unchanged by the path.
"""
import json
import sys

# Times are those of a machine that may be busy: 20 %, and 0.6 s of a clock that ticks.
TOLERANCE, TICK = 0.2, 0.6
# What the small socket buffers of tests/lib/pathlab_proxy.py hold beside its own.
SOCKETS_HOLD = 200_000
CLIENTS = {f"198.18.1.{n}" for n in range(2, 10)}


def within(value, expected, part=TOLERANCE):
    return value is not None and abs(value - expected) <= expected * part + TICK


def contains(row, expected, low="alive_s", high="dead_s"):
    """The bracket of an idle time contains the truth. A device that counts in steps may be one
    second late; none is early."""
    alive, dead = row.get(low), row.get(high)
    return dead is not None and (alive or 0) <= expected + 1 + TICK and dead >= expected - 0.05


class Case:
    """One row, and what the truth says about it."""

    def __init__(self, truth, row, rows):
        self.truth, self.row, self.rows = truth, row, rows
        self.faults = []
        self.expectations = 0

    def expect(self, is_so, text):
        self.expectations += 1
        if not is_so:
            self.faults.append(text)

    def answer(self, *expected):
        found = self.row["answer"]
        self.expect(found in expected, f'answer {found}, expected {" or ".join(expected)}')

    def field(self, name, *expected):
        found = self.row.get(name)
        self.expect(found in expected,
                    f'{name} {found}, expected {" or ".join(map(str, expected))}')


def check_reach(case):
    case.answer("yes")
    delay = 2 * case.truth.get("delay_ms", 0)
    case.expect(case.row["connect_ms"] >= delay, f'connect_ms, expected at least {delay}')


def check_server_first(case):
    after = case.truth.get("server_first_after")
    if case.truth.get("synproxy"):
        case.answer("at once", "late")  # a second late where the kernel checks TSecr
        return
    case.answer("late" if after else "at once")
    case.expect(not after or within(case.row["after_s"], after), f"after_s, expected {after}")


def check_split(case):
    is_split = case.truth["split"]
    case.answer("yes" if is_split else "no")
    held, buffer = case.row["held_bytes"], case.truth.get("buffer")
    case.expect(is_split or held == 0, f"held_bytes {held}, expected 0")
    case.expect(buffer is None or buffer <= held <= buffer + SOCKETS_HOLD,
                f"held_bytes {held}, expected {buffer} and what sockets hold")


def check_source(case):
    truth = case.truth
    is_own = truth.get("nat") is False or not (truth.get("nat") or truth["split"])
    case.answer("kept" if is_own else "changed")
    case.expect((case.row["address"] in CLIENTS) == is_own, f'address {case.row["address"]}')
    if "addresses" in truth:
        case.expect(1 < case.row["addresses"] <= truth["addresses"],
                    f'addresses {case.row["addresses"]}, expected up to {truth["addresses"]}')
    if truth.get("port") == "random" or "ports" in truth:
        case.field("port", "changed")
    elif truth.get("port") == "kept" or is_own:
        case.field("port", "kept")


def check_backends(case):
    backends = case.truth.get("backends", 1)
    # One client address reaches one server of a balancer that chooses by address.
    seen = 1 if case.truth.get("sticky") == "address" else backends
    if case.row.get("servers") == backends:
        seen = backends
    case.answer("several" if seen > 1 else "one")
    case.field("servers", seen)
    if seen > 1:
        case.field("sticky", case.truth["sticky"])


def check_mapping(case):
    # A proxy's ports are its own; few ports of a NAT may all be in use.
    if not (case.truth["split"] or {"backends", "ports"} & case.truth.keys()):
        case.answer(case.truth.get("mapping", "independent"))


def check_half_close(case):
    case.answer("cut" if case.truth.get("half_close") == "closes" else "passed")


def check_half_close_back(case):
    case.answer("cut" if case.truth.get("half_close") == "closes" else "passed")


def check_reset(case):
    becomes = case.truth.get("rst_to_server", None if case.truth["split"] else "rst")
    if becomes:
        case.answer("passed" if becomes == "rst" else "becomes fin")


def check_reset_back(case):
    if case.truth.get("synproxy"):
        return  # kernels differ in what they do to the server's reset
    becomes = case.truth.get("rst_to_client", None if case.truth["split"] else "rst")
    if becomes:
        case.answer("passed" if becomes == "rst" else "becomes fin")


def check_before(case):
    case.answer("bytes" if "adds" in case.truth else "nothing")


def check_big(case):
    mtu = case.truth.get("mtu")
    case.answer("black hole" if case.truth.get("black_hole") else "passed")
    if mtu and not case.truth["split"]:
        found = case.row.get("mtu")
        case.expect(found is not None and abs(found - mtu) <= 4,
                    f"mtu {found}, expected {mtu}")


AFFECTED = {"http": "HTTP", "ftp": "FTP", "nul": "NUL"}


def check_payload(case):
    truth = case.truth
    what = truth.get("kills") or truth.get("rewrites") or truth.get("eats")
    if what is None:
        # What HAProxy puts before the bytes is the row "before".
        case.answer("unchanged")
        return
    case.answer("cut" if "kills" in truth else "changed")
    affected = case.row.get("affected") or ""
    case.expect(AFFECTED[what].lower() in affected.lower(),
                f"affected {affected!r}, expected {AFFECTED[what]}")


def check_syn(case):
    truth, row = case.truth, case.row
    if truth["split"] or truth.get("synproxy"):
        return  # another kernel's SYN, which may be like ours
    removed = row.get("removed") or ""
    for key, name in (("sack", "SACK"), ("timestamps", "time stamps"),
                      ("window_scaling", "window scaling")):
        is_removed = truth.get(key) is False
        case.expect((name in removed) == is_removed, f"removed {removed!r}, as to {name}")
    if "mss" in truth:
        case.field("mss_arrived", truth["mss"])
    if truth.get("mptcp"):
        case.field("mptcp", "removed")
    elif row.get("mptcp") != "not asked":
        case.field("mptcp", "kept")
    case.field("dscp", "changed" if truth.get("dscp") else "kept")
    if truth.get("ecn"):
        case.field("ecn", "refused", "not asked")
    if "ttl" in truth:
        case.field("ttl", truth["ttl"])


def check_concurrent(case):
    most = case.truth.get("connections_max")
    case.answer("no limit" if most is None else "limit")
    if most is not None:
        served = case.row["served"]
        case.expect(served == most, f"served {served}, expected {most}")
        over = {"drop": "silence"}.get(case.truth["over"], case.truth["over"])
        case.field("over", over)


def check_by_source(case):
    if "per" in case.truth:
        case.answer(case.truth["per"])


def check_burst(case):
    if "connection_rate" not in case.truth:
        if "connections_max" not in case.truth:
            case.answer("no limit")
        return
    case.answer("limit")
    at_once, burst = case.row["at_once"], case.truth["burst"]
    case.expect(burst <= at_once <= burst + 2, f"at_once {at_once}, expected {burst}")


def check_rate(case):
    expected = case.truth.get("connection_rate")
    if expected is None:
        case.answer("no limit")
        return
    case.answer("limit")
    case.expect(abs(case.row["per_s"] - expected) <= expected * 0.05,
                f'per_s {case.row["per_s"]}, expected {expected} within 5 %')


def check_load(case):
    policer, shaper = case.truth.get("policer_kbytes"), case.truth.get("shaper_mbit")
    case.answer("policer" if policer else "queue" if shaper else "no limit")


def idle_of(case):
    """The known idle time, if the ladder of the survey reaches it."""
    idle = case.truth.get("idle")
    top = max((step["rung_s"] for step in case.row["evidence"].get("client_first", [])),
              default=0)
    return idle if idle is not None and idle < top else None


def check_idle(case):
    truth, row = case.truth, case.row
    idle = idle_of(case)
    if idle is None:
        case.answer("alive")
        return
    if "idle_end" in truth:
        case.answer(truth["idle_end"])
        end = row.get("end_s")
        case.expect(within(end, idle), f"end_s {end}, expected {idle}")
        return
    case.expect(contains(row, idle), f'{row.get("alive_s")} to {row.get("dead_s")} s,'
                                     f" expected {idle} in it")
    for end in ("client_first", "server_first"):
        fate = truth.get(f"idle_{end}")
        if fate is None:
            continue
        case.field(end, "alive" if fate == "survives" else fate)
        if fate != "survives":
            case.expect(contains(row, idle, f"{end}_alive_s", f"{end}_dead_s"),
                        f"{end} bracket, expected {idle} in it")


def check_keepalive(case):
    idle_row = case.rows["idle"]
    if idle_of(Case(case.truth, idle_row, case.rows)) is None:
        case.answer("not needed")
    else:
        case.answer("no help" if case.truth["split"] else "honoured")
    # Unknown where both connections have ended with the idle ones.
    case.field("passed_on", *(("no", None) if case.truth["split"] else ("yes",)))


def check_half_closed(case):
    half, row = case.truth.get("half_close_idle"), case.row
    top = max((step["rung_s"] for step in row["evidence"].get("trials", [])), default=0)
    if case.truth.get("half_close") == "closes":
        case.expect(row["answer"] != "alive", "answer alive, expected an end at once")
    elif half is not None and half < top:
        case.expect(contains(row, half), f'{row.get("alive_s")} to {row.get("dead_s")} s,'
                                         f" expected {half} in it")
    elif half is not None or case.truth.get("idle", 1e9) is None:
        case.answer("alive")


def check_life(case):
    case.answer("alive")


def check_hops(case):
    truth = case.truth
    if truth["split"] or truth.get("synproxy") or "ttl" in truth or "backends" in truth:
        return  # its readings differ by the device
    case.answer("agree")
    case.field("syn_hops", 2)


ROWS = {
    "reach": check_reach,
    "hops": check_hops,
    "server_first": check_server_first,
    "split": check_split,
    "split_back": check_split,
    "syn": check_syn,
    "source": check_source,
    "backends": check_backends,
    "mapping": check_mapping,
    "half_close": check_half_close,
    "half_close_back": check_half_close_back,
    "reset": check_reset,
    "reset_back": check_reset_back,
    "before": check_before,
    "big": check_big,
    "payload": check_payload,
    "concurrent": check_concurrent,
    "by_source": check_by_source,
    "burst": check_burst,
    "rate": check_rate,
    "load": check_load,
    "idle": check_idle,
    "keepalive": check_keepalive,
    "half_closed": check_half_closed,
    "life": check_life,
}


def load(text):
    if text.startswith("{"):
        return json.loads(text)
    with open(text, encoding="utf-8") as file:
        return json.load(file)


def judge(truth, survey):
    """Yields (id, verdict, text)."""
    rows = {row["id"]: row for row in survey["rows"]}
    for name, check in ROWS.items():
        row = rows[name]
        if row["answer"] is None:
            yield name, "unasked", row["reason"] or ""
            continue
        case = Case(truth, row, rows)
        check(case)
        verdict = "wrong" if case.faults else "right" if case.expectations else "unknown"
        yield name, verdict, "; ".join(case.faults)


def main():
    truth, survey = load(sys.argv[1]), load(sys.argv[2])
    wrong = 0
    for name, verdict, text in judge(truth, survey):
        print(f"{verdict} {name}" + (f": {text}" if text else ""))
        wrong += verdict == "wrong"
    if truth["profile"] == "route":
        for row in survey["rows"]:
            if row["attention"] is not None:
                print(f'wrong {row["id"]}: marked: {row["attention"]}')
                wrong += 1
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
