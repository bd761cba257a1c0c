#!/usr/bin/env python3
"""Runs ceph/s3-tests from a user's checkout against a server of its own and prints a table by area.

    make s3-tests S3_TESTS=~/src/s3-tests
    run.py --checkout ~/src/s3-tests --bin target/release/trioxide [--only 'test_bucket_list_*'] [--endpoint http://…]

`failed` are cases that fail and are not named in expected.toml: the exit code is 1 if there is any. `expected` are those that
are named there, each with its reason. Nothing of the suite is kept here; every case's outcome and reason goes to
`target/s3-tests/cases.jsonl`.
"""

import argparse
import fnmatch
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time
import urllib.parse

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path[:0] = [str(HERE), str(HERE.parent)]
from expectations import Expectations, Tally  # noqa: E402
from users import server_config, suite_config  # noqa: E402

FILES = ["s3tests/functional/test_s3.py", "s3tests/functional/test_headers.py"]
# Identities: one after another, since they clear away all that their account has.
IAM_FILES = ["s3tests/functional/test_iam.py", "s3tests/functional/test_sts.py"]
# Needs the main user to own no other bucket.
ALONE = "test_list_buckets_paginated"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--checkout", type=pathlib.Path, required=True, help="a checkout of github.com/ceph/s3-tests")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "target/release/trioxide")
    parser.add_argument("--endpoint", help="a server that runs already, with the users of `--print-server-config`")
    parser.add_argument("--print-server-config", action="store_true", help="the users for such a server, and no more")
    parser.add_argument("--server-config", default="", help="more TOML for the server that is started")
    parser.add_argument("--only", action="append", help="cases to run: a name, a pattern such as 'test_bucket_list_*', or an area; may come again")
    parser.add_argument("--identities", action="store_true", help="test_iam.py and test_sts.py instead")
    parser.add_argument("--workers", type=int, default=4)
    parser.add_argument("--timeout", type=int, default=60, help="seconds a case may take")
    parser.add_argument("--lc-day", type=int, default=4, help="seconds of one lifecycle day, which the server shortens")
    parser.add_argument("--storage-classes", default="", help="two names besides STANDARD, separated by a comma")
    parser.add_argument("--work", type=pathlib.Path, default=ROOT / "target/s3-tests")
    parser.add_argument("pytest", nargs="*", help="more words for pytest, behind --")
    options = parser.parse_args()
    options.storage_classes = [name.strip() for name in options.storage_classes.split(",") if name.strip()]
    if options.print_server_config:
        print(server_config(lc_day=options.lc_day, storage_classes=options.storage_classes))
        return 0
    if not (options.checkout / FILES[0]).is_file():
        parser.error(f"{options.checkout} has no {FILES[0]}: is it a checkout of ceph/s3-tests?")
    options.files = IAM_FILES if options.identities else FILES
    expectations = Expectations.load(HERE / "identities" if options.identities else HERE)
    options.work.mkdir(parents=True, exist_ok=True)
    environment = options.work / "venv"
    subprocess.run([sys.executable, HERE.parent / "make_venv.py", environment, HERE / "requirements.txt"], check=True)

    server = None
    if options.endpoint is None:
        server = start_server(options)
    try:
        endpoint = options.endpoint or server.endpoint
        cases = run_suite(options, endpoint, environment / "bin" / "python", expectations)
    finally:
        if server is not None:
            died = not server.alive()
            if died:
                print(f"the server died; the end of {server.log}:\n{server.log_tail()}", file=sys.stderr)
            server.kill()
    return report(options, expectations, cases) or int(server is not None and died)


def start_server(options):
    from harness.server import Server
    folder = options.work / "server"
    shutil.rmtree(folder, ignore_errors=True)
    server = Server(folder, config=server_config(options.server_config, options.lc_day, options.storage_classes), users=(), executable=options.bin.absolute())
    return server.start().wait_ready()


def run_suite(options, endpoint, python, expectations):
    address = urllib.parse.urlsplit(endpoint)
    config = suite_config(address.hostname, address.port, options.lc_day, options.storage_classes)
    path = options.work / "s3tests.conf"
    with open(path, "w") as file:
        config.write(file)
    # Nothing of the caller's own AWS configuration may leak in, and unusable proxies neither.
    env = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}
    env.update({"S3TEST_CONF": str(path), "PYTHONPATH": str(HERE), "AWS_EC2_METADATA_DISABLED": "true",
                "AWS_CONFIG_FILE": os.devnull, "AWS_SHARED_CREDENTIALS_FILE": os.devnull})

    def pytest(selected, *words):
        record, listing = options.work / "record.jsonl", options.work / "selected"
        record.unlink(missing_ok=True)
        # By a file, since a thousand names do not fit a command line.
        listing.write_text("\n".join(selected) + "\n")
        command = [python, "-m", "pytest", "-p", "record_plugin", "-p", "no:cacheprovider", "-q", "--tb=short", f"--timeout={options.timeout}",
                   *options.files, *words, *options.pytest]
        with open(options.work / "pytest.log", "a") as log:
            subprocess.run(command, cwd=options.checkout, stdout=log, stderr=subprocess.STDOUT,
                           env={**env, "S3_TESTS_RECORD": str(record), "S3_TESTS_SELECTED": str(listing)})
        return [json.loads(line) for line in record.read_text().splitlines()] if record.is_file() else []

    def clean():
        subprocess.run([python, HERE / "clean.py", endpoint], env=env, check=False)

    (options.work / "pytest.log").write_text("")
    begun = time.monotonic()
    chosen = selection(options, python, env, expectations)
    clean()
    together = [case for case in chosen if case != ALONE]
    # Those about identities clear away all that their account has.
    workers = () if options.identities else ("-n", str(options.workers))
    cases = pytest(together, *workers) if together else []
    if ALONE in chosen:
        clean()
        cases += pytest([ALONE])
    clean()
    lost = set(chosen) - {case["case"] for case in cases}
    # A case without a report ran in a worker that died.
    cases += [{"case": case, "outcome": "error", "seconds": 0.0, "why": "no report"} for case in sorted(lost)]
    print(f"{len(cases)} cases in {time.monotonic() - begun:.0f} s; all output in {options.work / 'pytest.log'}\n")
    return cases


def selection(options, python, env, expectations):
    """The names of the cases to run."""
    collected = subprocess.run([python, "-m", "pytest", "-p", "no:cacheprovider", "--collect-only", "-q", *options.files], cwd=options.checkout, env=env,
                               capture_output=True, text=True)
    cases = [line.partition("::")[2] for line in collected.stdout.splitlines() if "::" in line]
    if not cases:
        raise SystemExit(f"pytest collects nothing:\n{collected.stdout[-2000:]}\n{collected.stderr[-2000:]}")
    if options.only is None:
        return cases
    areas = {name for name, _ in expectations.areas}
    chosen = set()
    for word in options.only:
        if word in areas:
            found = [case for case in cases if expectations.area(case) == word]
        else:
            found = [case for case in cases if case == word or fnmatch.fnmatchcase(case.partition("[")[0], word)]
        if not found:
            raise SystemExit(f"nothing is called {word}")
        chosen.update(found)
    return [case for case in cases if case in chosen]


def report(options, expectations, cases):
    with open(options.work / "cases.jsonl", "w") as file:
        for case in sorted(cases, key=lambda case: case["case"]):
            reason = expectations.reason(case["case"]) if case["outcome"] in ("failed", "error") else None
            file.write(json.dumps({**case, "area": expectations.area(case["case"]), "expected": reason}) + "\n")
    tally = Tally(expectations, cases)
    print(tally.table())
    if tally.better:
        print("\npass now, and can leave expected.toml: " + ", ".join(sorted(tally.better)))
    if tally.unexpected:
        print(f"\n{len(tally.unexpected)} cases fail that expected.toml does not name:")
        for case in sorted(tally.unexpected, key=lambda case: case["case"]):
            print(f"  {case['case']}: {case['why'] or case['outcome']}")
    print(f"\nevery case: {options.work / 'cases.jsonl'}")
    return 1 if tally.unexpected else 0


if __name__ == "__main__":
    sys.exit(main())
