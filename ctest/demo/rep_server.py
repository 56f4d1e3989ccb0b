"""rep_server.py ENDPOINT COUNT: answers COUNT requests "Hello N" with "World N"."""

import sys

import zmq
from demo import bound, say, wrong

endpoint, count = sys.argv[1], int(sys.argv[2])
with zmq.Context() as context, bound(context, zmq.REP, endpoint) as server:
    for _ in range(count):
        text = server.recv_string()
        if not text.startswith("Hello "):
            wrong("rep_server", "not a greeting", text)
        server.send_string("World " + text[6:])
    say("rep_server", f'{endpoint}: {count} requests answered, the last was "{text}"')
