"""pytest plugin: writes how each test came out, at once, so that a run that is cut short says how far it came.

A line is the word passed, failed, skipped or begun, a tab, and the name of the test.
"""

import os

_file = open(os.environ["PYZMQ_RECORD"], "w", buffering=1)
_worst = {}


def pytest_runtest_logstart(nodeid, location):
    print("begun", nodeid, sep="\t", file=_file)
    _worst[nodeid] = "skipped"


def pytest_runtest_logreport(report):
    # Setup and teardown of a skipped test pass, and those of a passed one count if they fail.
    if report.failed:
        _worst[report.nodeid] = "failed"
    elif report.when == "call" and _worst[report.nodeid] != "failed":
        _worst[report.nodeid] = report.outcome


def pytest_runtest_logfinish(nodeid, location):
    print(_worst.pop(nodeid), nodeid, sep="\t", file=_file)
