"""which.py LIBRARY TRACE: whether pyzmq's compiled part calls LIBRARY, judged by the loader itself.

TRACE is what the loader wrote under LD_DEBUG=bindings while another Python imported zmq: a line for each symbol, with
the file that asked for it and the file that it was found in.
"""

import os
import re
import sys

library, trace = os.path.realpath(sys.argv[1]), sys.argv[2]
binding = re.compile(r"binding file (\S+) \[\d+\] to (\S+) \[\d+\]: normal symbol `(zmq_\w+)'")
found = {}
with open(trace, errors="replace") as lines:
    for asker, giver, symbol in (match.groups() for match in map(binding.search, lines) if match):
        if os.path.basename(asker).startswith("_zmq"):
            found[symbol] = os.path.realpath(giver)
elsewhere = {symbol: giver for symbol, giver in found.items() if giver != library}
if elsewhere:
    sys.exit(f"pyzmq calls another library: {elsewhere}")
if not {"zmq_ctx_new", "zmq_socket", "zmq_msg_send", "zmq_msg_recv"} <= set(found):
    sys.exit(f"the loader's trace names too few symbols: {sorted(found)}")
print(f"all {len(found)} zmq_ functions that pyzmq's compiled part calls resolve to {library}")
