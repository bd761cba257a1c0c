"""A pytest plugin: one JSON line a case, in the file that S3_TESTS_RECORD names, and only the cases that the file named by
S3_TESTS_SELECTED lists, if there is one. The record is made in the process that collects the workers' reports, so that a
worker killed by a time limit loses nothing."""

import json
import os

_order = {"error": 3, "failed": 2, "skipped": 1, "passed": 0}


class Record:
    def __init__(self, path):
        self.path = path
        self.cases = {}

    def pytest_runtest_logreport(self, report):
        name = report.nodeid.rpartition("::")[2]
        if "@" in name:
            # xdist's loadgroup writes the group behind the name.
            name = name.rpartition("@")[0]
        outcome = report.outcome
        if outcome == "failed" and report.when != "call":
            outcome = "error"
        case = self.cases.setdefault(name, {"case": name, "outcome": "passed", "seconds": 0.0, "why": ""})
        case["seconds"] = round(case["seconds"] + getattr(report, "duration", 0.0), 3)
        if _order[outcome] > _order[case["outcome"]]:
            case["outcome"] = outcome
            case["why"] = why(report)

    def pytest_sessionfinish(self):
        with open(self.path, "w") as file:
            for case in self.cases.values():
                file.write(json.dumps(case) + "\n")


def why(report):
    """The one line of a failure that says most."""
    if isinstance(report.longrepr, tuple):
        return str(report.longrepr[2])[:300]
    crash = getattr(report.longrepr, "reprcrash", None)
    text = crash.message if crash is not None else str(report.longrepr)
    return " ".join(text.split())[:300]


def pytest_configure(config):
    if not hasattr(config, "workerinput"):
        config.pluginmanager.register(Record(os.environ["S3_TESTS_RECORD"]))


def pytest_collection_modifyitems(config, items):
    path = os.environ.get("S3_TESTS_SELECTED")
    if path:
        with open(path) as file:
            wanted = set(file.read().splitlines())
        items[:] = [item for item in items if item.name in wanted]
