#!/usr/bin/env python3
"""Measures this library and another one side by side and prints a table in Markdown.

    benches/run.py [OURS [OTHER]] [--rounds N] [--quick] [--only WORD]... [--all] [--brief]

OURS is a library file, else the one built here (built when missing); OTHER is what it is compared with, else the
system's own libzmq. Each round runs every cell once on each library, one right after the other, so that a machine
whose speed drifts does so under both. The table shows medians, and the median of the rounds' ratios OURS/OTHER.
`--only` takes those cells whose name contains the word; `--all` adds those that take long or much memory: 20,000
connections, a message of 3 GiB. `--quick` takes a tenth of the messages; `--brief` prints a line a cell, with ratios
only.
"""

import argparse
import datetime
import os
import pathlib
import platform
import re
import statistics
import subprocess
import sys
import tempfile

HERE = pathlib.Path(__file__).resolve().parent
TIME_LIMIT = 280

# A figure is better when it is larger (+), or when it is smaller (-).
TIMES = {"p50_us": "-", "p99_us": "-"}
LATEST = {**TIMES, "max_us": "-"}
FLOW = {"messages_per_s": "+", "cpu_ns_per_message": "-"}
TRIPS = {"trips_per_s": "+", "cpu_ns_per_trip": "-"}
DELIVERIES = {"deliveries_per_s": "+", "cpu_ns_per_delivery": "-"}
BIG = {"megabytes_per_s": "+", "sender_extra_megabytes": "-", "receiver_sizes": "-"}
IDLE = {"connections_per_s": "+", "bytes_per_connection": "-", "wakeups_per_s": "-",
        "wakeups_afterwards_per_s": "-", "connections": "+"}
ROUTED = {**IDLE, **TIMES, "cpu_us_per_trip": "-"}
PUBLISHED = {**IDLE, **DELIVERIES}

# What --brief tells.
HEADLINES = {"p50_us", "p99_us", "messages_per_s", "trips_per_s", "deliveries_per_s", "megabytes_per_s",
             "connections_per_s", "bytes_per_connection"}

CELLS = [
    # name, arguments, figures, whether only with --all
    ("round trip tcp 1 B", "latency transport=tcp size=1 count=20000", TIMES, False),
    ("round trip ipc 1 B", "latency transport=ipc size=1 count=20000", TIMES, False),
    ("round trip inproc 1 B", "latency transport=inproc size=1 count=40000", TIMES, False),
    ("round trip tcp 1 B, CURVE", "latency transport=tcp size=1 count=10000 curve=1", TIMES, False),
    ("one way tcp 16 B", "throughput transport=tcp size=16 count=2000000", FLOW, False),
    ("one way tcp 1 KiB", "throughput transport=tcp size=1024 count=400000", FLOW, False),
    ("one way tcp 64 KiB", "throughput transport=tcp size=65536 count=20000", FLOW, False),
    ("one way ipc 16 B", "throughput transport=ipc size=16 count=2000000", FLOW, False),
    ("one way ipc 64 KiB", "throughput transport=ipc size=65536 count=20000", FLOW, False),
    ("one way inproc 16 B", "throughput transport=inproc size=16 count=5000000", FLOW, False),
    ("one way tcp 256 B, CURVE", "throughput transport=tcp size=256 count=300000 curve=1", FLOW, False),
    ("one to 10 tcp 32 B", "fanout transport=tcp subscribers=10 size=32 count=100000", DELIVERIES, False),
    ("one to 200 tcp 32 B", "fanout transport=tcp subscribers=200 size=32 count=5000", DELIVERIES, False),
    ("one to 10 inproc 32 B", "fanout transport=inproc subscribers=10 size=32 count=100000", DELIVERIES, False),
    ("one to 4 tcp, 3 parts of 32 B", "fanout transport=tcp subscribers=4 parts=3 size=32 count=100000", DELIVERIES,
     False),
    ("one to 4 inproc, 3 parts of 32 B", "fanout transport=inproc subscribers=4 parts=3 size=32 count=100000", DELIVERIES,
     False),
    ("PUSH to 4 workers tcp 32 B", "deal transport=tcp workers=4 size=32 count=500000", FLOW, False),
    ("zmq_proxy tcp 32 B", "between transport=tcp size=32 count=300000", FLOW, False),
    ("proxy by hand tcp 32 B", "between transport=tcp by_hand=1 size=32 count=300000", FLOW, False),
    ("ROUTER, 64 clients tcp 32 B", "router clients=64 size=32 count=200000", TRIPS, False),
    ("echo tcp, 64 under way", "echo window=64 size=16 count=200000", TRIPS, False),
    ("large tcp 1 MiB", "large transport=tcp size=1048576 count=1000", BIG, False),
    ("large tcp 64 MiB", "large transport=tcp size=67108864 count=16", BIG, False),
    ("large tcp 3 GiB", "large transport=tcp size=3221225472 count=1", BIG, True),
    ("bystander, idle context", "bystander busy=none who=thread count=1500", LATEST, False),
    ("bystander beside a flood", "bystander busy=flood who=thread count=1500", LATEST, False),
    ("bystander beside a sender", "bystander busy=send who=thread count=1500", LATEST, False),
    ("bystander beside ping-pong", "bystander busy=pingpong who=thread count=1500", LATEST, False),
    ("ZMQ_FD loop beside a flood", "bystander busy=flood who=loop count=1500", LATEST, False),
    ("ZMQ_FD loop beside a sender", "bystander busy=send who=loop count=1500", LATEST, False),
    ("ZMQ_FD loop beside ping-pong", "bystander busy=pingpong who=loop count=1500", LATEST, False),
    ("heartbeat beside a flood", "bystander busy=flood who=heartbeat count=1500", LATEST, False),
    ("heartbeat beside a sender", "bystander busy=send who=heartbeat count=1500", LATEST, False),
    ("heartbeat beside ping-pong", "bystander busy=pingpong who=heartbeat count=1500", LATEST, False),
    ("2,000 on a ROUTER", "scale to=router connections=2000", ROUTED, False),
    ("2,000 on a PUB", "scale to=pub connections=2000", PUBLISHED, False),
    ("400 on a ROUTER", "scale to=router connections=400", ROUTED, True),
    ("20,000 on a ROUTER", "scale to=router connections=20000", ROUTED, True),
    ("20,000 on a PUB", "scale to=pub connections=20000", PUBLISHED, True),
]


def measure(program, library, arguments):
    """The figures of one run, or why there are none."""
    try:
        run = subprocess.run([program, library, *arguments.split()], stdin=subprocess.DEVNULL, capture_output=True,
                             text=True, timeout=TIME_LIMIT)
    except subprocess.TimeoutExpired:
        return None, f"not done in {TIME_LIMIT} s"
    if run.returncode:
        return None, (run.stderr.strip().splitlines() or [f"status {run.returncode}"])[-1]
    return {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", run.stdout, re.M)}, None


def built_here():
    target = pathlib.Path(os.environ.get("CARGO_TARGET_DIR", HERE.parent / "target"))
    library = target / "release" / "libzmq.so"
    if not library.exists():
        subprocess.run(["cargo", "build", "--release"], cwd=HERE.parent, check=True)
    return library


def of_the_system():
    path = os.environ["PATH"] + ":/usr/sbin:/sbin"
    cache = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True, env={"PATH": path})
    found = re.search(r"libzmq\.so\.5 .*=> (\S+)", cache.stdout)
    if not found:
        sys.exit("there is no libzmq5 on this system to compare with; name a library file")
    return found[1]


def shown(value):
    return "-" if value is None else f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def compile_cells(folder):
    program = pathlib.Path(folder) / "cells"
    sources = sorted(str(path) for path in HERE.glob("*.c"))
    subprocess.run(["cc", "-std=gnu11", "-O2", *sources, "-o", program, "-ldl", "-lpthread"], check=True)
    return program


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("ours", nargs="?")
    parser.add_argument("other", nargs="?")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--only", action="append", default=[])
    parser.add_argument("--all", action="store_true")
    parser.add_argument("--brief", action="store_true")
    given = parser.parse_args()
    libraries = [pathlib.Path(given.ours or built_here()).resolve(), pathlib.Path(given.other or of_the_system()).resolve()]
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        program = compile_cells(folder)
        print(f"{os.cpu_count()} cores, {platform.machine()}; {given.rounds} rounds; {datetime.date.today()}\n")
        print("| cell | ratios |\n|---|---|" if given.brief
              else "| cell | figure | ours | theirs | ratio |\n|---|---|---:|---:|---:|")
        for name, arguments, figures, extra in CELLS:
            if extra and not given.all or given.only and not any(word in name for word in given.only):
                continue
            if given.quick:
                arguments = re.sub(r"count=(\d+)", lambda n: f"count={max(200, int(n[1]) // 10)}", arguments)
            rounds = [[measure(program, library, arguments) for library in libraries] for _ in range(given.rounds)]
            brief = []
            for figure, better in figures.items():
                columns = [[got[figure] for got, _ in side if got] for side in zip(*rounds)]
                medians = [statistics.median(column) if column else None for column in columns]
                pairs = [(ours[figure], theirs[figure]) for (ours, _), (theirs, _) in rounds if ours and theirs]
                ratios = [ours / theirs for ours, theirs in pairs if theirs]
                ratio = f"{statistics.median(ratios):.2f}" if ratios else "-"
                title = figure.replace("_", " ")
                if ratios and figure in HEADLINES:
                    brief.append(f"{title} **{ratio}**" if figure in list(figures)[:1] else f"{title} {ratio}")
                if not given.brief:
                    print(f"| {name} | {title} ({better}) | {shown(medians[0])} | {shown(medians[1])} | {ratio} |",
                          flush=True)
            if given.brief:
                print(f"| {name} | {', '.join(brief)} |", flush=True)
            for side, whose in zip(zip(*rounds), ("ours", "theirs")):
                for reason in sorted({why for _, why in side if why}):
                    print(f"{name}: {whose}: {reason}", file=sys.stderr)
                    failed = failed or whose == "ours"
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
