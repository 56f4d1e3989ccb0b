"""worker.py NAME TASKS_ENDPOINT READY_ENDPOINT SINK_ENDPOINT: squares the numbers that come, until "end"."""

import sys

import zmq
from demo import connected, say, wrong

name, tasks_endpoint, ready_endpoint, sink_endpoint = sys.argv[1:5]
with zmq.Context() as context, connected(context, zmq.PULL, tasks_endpoint) as tasks, connected(
    context, zmq.PUSH, sink_endpoint
) as sink:
    reported, done = False, 0
    while (text := tasks.recv_string()) != "end":
        if not reported:
            reported = True
            with connected(context, zmq.PUSH, ready_endpoint) as ready:
                ready.send_string(name)
        if text != "probe":
            sink.send_string(f"{name} {text} {int(text) ** 2}")
            done += 1
    if not done:
        wrong(f"worker {name}", "nothing to do", text)
    say(f"worker {name}", f"{tasks_endpoint} -> {sink_endpoint}: {done} tasks done")
