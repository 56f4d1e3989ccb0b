"""sink.py ENDPOINT TASKS: expects each of TASKS results once, whichever worker it comes from."""

import sys

import zmq
from demo import bound, say, wrong

endpoint, tasks = sys.argv[1], int(sys.argv[2])
with zmq.Context() as context, bound(context, zmq.PULL, endpoint) as results:
    seen = set()
    for _ in range(tasks):
        worker, number, square = results.recv_string().split(" ")
        if int(square) != int(number) ** 2:
            wrong("sink", "a wrong result", (worker, number, square))
        seen.add(int(number))
    if seen != set(range(tasks)):
        wrong("sink", f"{tasks} results, each once", sorted(seen))
    say("sink", f"{endpoint}: {tasks} results, each once, the last from worker {worker}")
