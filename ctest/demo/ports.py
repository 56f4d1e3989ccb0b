"""ports.py PORT...: for each, itself when it is free on all interfaces, else one that is."""

import socket
import sys

chosen, held = [], []
for wanted in map(int, sys.argv[1:]):
    probe = socket.socket()
    probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        probe.bind(("", wanted))
    except OSError:
        probe.bind(("", 0))
    held.append(probe)
    chosen.append(str(probe.getsockname()[1]))
print(" ".join(chosen))
