"""sub_client.py ENDPOINT READY_ENDPOINT FILTER COUNT TOWNS: expects COUNT readings, in order, from each of TOWNS towns."""

import sys

import zmq
from demo import connected, say, wrong

endpoint, ready_endpoint, wanted = sys.argv[1:4]
count, towns = map(int, sys.argv[4:6])
with zmq.Context() as context, connected(context, zmq.SUB, endpoint) as subscriber:
    subscriber.setsockopt_string(zmq.SUBSCRIBE, wanted)
    subscriber.recv_string()
    with connected(context, zmq.PUSH, ready_endpoint) as ready:
        ready.send_string("joined")
    readings, ended = {}, set()
    while len(ended) < towns:
        text = subscriber.recv_string()
        if not text.startswith(wanted):
            wrong("sub_client", "not what was subscribed to", text)
        town, reading = text.split(" ")
        seen = readings.setdefault(town, [])
        if reading == "end":
            ended.add(town)
        elif reading != "probe":
            seen.append(int(reading))
    for town, seen in readings.items():
        if seen != list(range(count)) or town not in ended:
            wrong("sub_client", f"{count} readings of {town} in order", seen)
    if len(readings) != towns:
        wrong("sub_client", f"{towns} towns", sorted(readings))
    say(
        "sub_client",
        f'{endpoint}: filter "{wanted}": {count * towns} readings from {towns} towns, all in order',
    )
