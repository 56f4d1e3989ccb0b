"""Compares two records of pyzmq's tests: judge.py BUNDLED OURS EXPECTED.

What passes with the library inside the wheel has to pass with ours, but for the tests that EXPECTED names
(`NAME  # why`, one a line). One that is named there and passes, or does not exist, is an error as well.
"""

import sys
from collections import Counter


def outcomes(path):
    found = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            outcome, name = line.rstrip("\n").split("\t", 1)
            found[name] = outcome
    return found


def reasons(path):
    found = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            name, _, why = line.partition("  # ")
            name = name.strip()
            if not name or name.startswith("#"):
                continue
            if not why.strip():
                sys.exit(f"{path}: no reason given for {name}")
            found[name] = why.strip()
    return found


def counted(found):
    counts = Counter(found.values())
    # What was begun and has no end hung, or ended the run.
    return f"{counts['passed']} passed, {counts['failed'] + counts['begun']} failed, {counts['skipped']} skipped"


def main(bundled_path, ours_path, expected_path):
    bundled, ours, expected = outcomes(bundled_path), outcomes(ours_path), reasons(expected_path)
    bad = []
    for name, outcome in bundled.items():
        mine = ours.get(name, "not reached")
        if name in expected:
            if mine == "passed":
                bad.append(f"passes, take it off the list: {name}")
        elif outcome == "passed" and mine != "passed":
            bad.append(f"{mine}, passes with the bundled library: {name}")
    bad += [f"on the list, but there is no such test: {name}" for name in expected if name not in bundled]
    print("bundled:", counted(bundled))
    print("ours:   ", counted(ours))
    for name, outcome in bundled.items():
        if outcome in ("failed", "begun"):
            print(f"fails with the bundled library, {ours.get(name, 'not reached')} with ours: {name}")
    print(f"{len(expected)} exceptions listed")
    for line in bad:
        print("BAD:", line)
    print(f"test result: pyzmq {counted(ours)}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
