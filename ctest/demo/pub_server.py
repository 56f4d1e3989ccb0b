"""pub_server.py ENDPOINT READY_ENDPOINT SUBSCRIBERS COUNT: publishes COUNT readings for each of two towns.

Probes come first, until every subscriber has said on the second endpoint that one has reached it.
"""

import sys

import zmq
from demo import bound, probe_until_ready, say

TOWNS = "Berlin", "Lisbon"

endpoint, ready_endpoint = sys.argv[1:3]
subscribers, count = map(int, sys.argv[3:5])
with zmq.Context() as context, bound(context, zmq.PUB, endpoint) as publisher, bound(
    context, zmq.PULL, ready_endpoint
) as ready:

    def publish(reading):
        for town in TOWNS:
            publisher.send_string(f"{town} {reading}")

    probe_until_ready("pub_server", ready, subscribers, lambda: publish("probe"))
    for number in range(count):
        publish(number)
    publish("end")
    say("pub_server", f"{endpoint}: {count} readings for each of 2 towns published to {subscribers} subscribers")
