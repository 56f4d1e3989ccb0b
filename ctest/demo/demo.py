"""What the Python demonstration programs share; they speak the same protocol as the C ones."""

import sys

import zmq

PATIENCE_MS = 30000
PROBE_MS = 10


def say(name, text):
    print(f"{name:<12} [pyzmq {zmq.pyzmq_version()}, libzmq {zmq.zmq_version()}] {text}", flush=True)


def wrong(name, what, got):
    sys.exit(f"{name}: {what}: got {got!r}")


def open_socket(context, kind):
    socket = context.socket(kind)
    socket.rcvtimeo = socket.sndtimeo = PATIENCE_MS
    return socket


def bound(context, kind, endpoint):
    socket = open_socket(context, kind)
    socket.bind(endpoint)
    return socket


def connected(context, kind, endpoint):
    socket = open_socket(context, kind)
    socket.connect(endpoint)
    return socket


def probe_until_ready(name, ready, count, probe):
    """Calls `probe` again and again until `count` programs have reported on the socket `ready`."""
    reported = []
    for _ in range(PATIENCE_MS // PROBE_MS):
        probe()
        while ready.poll(PROBE_MS if len(reported) < count else 0):
            reported.append(ready.recv_string())
        if len(reported) >= count:
            return
    wrong(name, f"{count} programs should have joined", reported)
