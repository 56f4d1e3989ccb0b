"""req_client.py ENDPOINT COUNT: sends COUNT requests "Hello N" and expects "World N" for each."""

import sys

import zmq
from demo import connected, say, wrong

endpoint, count = sys.argv[1], int(sys.argv[2])
with zmq.Context() as context, connected(context, zmq.REQ, endpoint) as client:
    for number in range(count):
        client.send_string(f"Hello {number}")
        text = client.recv_string()
        if text != f"World {number}":
            wrong("req_client", f"World {number}", text)
    say("req_client", f'{endpoint}: {count} replies, the last was "{text}"')
