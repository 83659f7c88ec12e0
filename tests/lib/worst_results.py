"""Turns results into ones with long names and large numbers, or checks text that was made of them.

worst_results.py widen FROM TO    every count that is not part of a histogram becomes large, every
                                  free text long
worst_results.py check            fails on a line of stdin over 80 columns that could be folded
"""
import json
import re
import sys

LARGE = 123_456_789_012_345_678
LONG = "host-with-a-name-of-more-than-forty-letters.example.org"
SENTENCE = " ".join(["why"] * 40)
NAMES = {"hostname", "kernel", "name", "local", "remote", "target", "address", "version"}
SENTENCES = {"command", "last_error", "message", "expect", "step", "waiting", "description", "reasons"}
KEPT = {"seconds", "tenths", "latency", "steps", "started_at", "processes", "trust"}


def widen(value, key):
    if key in KEPT and key != "trust":
        return value
    if isinstance(value, dict):
        return {k: widen(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [widen(v, key) for v in value]
    if isinstance(value, bool):
        return value
    if isinstance(value, int) and key not in ("exit_status", "rank_index", "ranks", "rank"):
        return LARGE
    if isinstance(value, float):
        return 1e17
    if key in NAMES:
        return f"{LONG}:{value}"[:200]
    return SENTENCE if key in SENTENCES else value


def can_be_folded(line):
    text = line[15:] if len(line) > 15 and line[14] == " " else line
    return re.search(r"\S +\S", text.strip()) is not None


def main():
    if sys.argv[1] == "widen":
        with open(sys.argv[2], encoding="utf-8") as file:
            result = json.load(file)
        wide = widen(result, "")
        wide["labels"] = {"note": SENTENCE, "host": LONG}
        if result["steps"]:
            wide["steps"] = {f"{name:x<31}"[:31]: step for name, step in result["steps"].items()}
        with open(sys.argv[3], "w", encoding="utf-8") as file:
            json.dump(wide, file)
        return
    for line in sys.stdin.read().split("\n"):
        assert len(line) <= 80 or not can_be_folded(line), f"{len(line)} columns: {line}"


main()
