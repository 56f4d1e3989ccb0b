"""ventilator.py ENDPOINT READY_ENDPOINT WORKERS TASKS: hands TASKS tasks out to WORKERS workers.

Probes come first, until every worker has reported on the second endpoint that one has reached it.
"""

import sys

import zmq
from demo import bound, probe_until_ready, say

endpoint, ready_endpoint = sys.argv[1:3]
workers, tasks = map(int, sys.argv[3:5])
with zmq.Context() as context, bound(context, zmq.PUSH, endpoint) as tasks_out, bound(
    context, zmq.PULL, ready_endpoint
) as ready:
    probe_until_ready("ventilator", ready, workers, lambda: tasks_out.send_string("probe"))
    for number in range(tasks):
        tasks_out.send_string(str(number))
    for _ in range(workers):
        tasks_out.send_string("end")
    say("ventilator", f"{endpoint}: {tasks} tasks handed out to {workers} workers")
