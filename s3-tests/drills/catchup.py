"""An OM that was away while many keys were written and the log was purged catches up by snapshot.

Afterwards its state is byte-equal to the others' at the same index.
"""

import argparse
import pathlib
import tempfile
import threading

from . import ROOT
from cluster import Cluster
from harness.clients import boto
from processes import wait_until


def write_keys(cluster, bucket, count, writers=16):
    failures = []

    def write(worker):
        client = boto(cluster.s3_urls()[worker % 2], cluster.keys, retries=8)
        try:
            for number in range(worker, count, writers):
                client.put_object(Bucket=bucket, Key=f"key-{number:06}", Body=f"{number}".encode())
        except Exception as error:
            failures.append(error)
    threads = [threading.Thread(target=write, args=(worker,)) for worker in range(writers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not failures, failures[0]


def run(folder, keys=10_000, executable=None, say=print, config=""):
    cluster = Cluster(folder, executable or ROOT / "target/release/trioxide")
    cluster.create(free_ports=True, extra=config)
    try:
        cluster.start().wait_ready(timeout=180).wait_writable()
        client = boto(cluster.s3_urls()[0], cluster.keys, retries=8)
        client.create_bucket(Bucket="drill")
        leader = cluster.wait_leader("om")
        away = next(name for name in cluster.names("om") if name != leader)
        before = members(cluster)[away]
        cluster.kill(away)
        write_keys(cluster, "drill", keys)
        purged = wait_until(lambda: members(cluster)[leader].get("purged") or 0, 60, "the leader's log purged")
        assert purged > (before.get("applied") or 0), f"the log is purged to {purged} only; {away} has {before}"
        cluster.start(away).wait_ready(away, timeout=120)

        def level():
            state = members(cluster)
            return state if state[away].get("applied") == state[leader].get("applied") else None
        wait_until(level, 120, f"{away} as far as the leader")
        say(f"{away} missed {keys} keys, the log was purged to {purged}; it caught up")
        digests = wait_until(lambda: equal_digests(cluster), 60, "the same state in all members at one index")
        say(f"all members hold the same bytes: {digests}")
    finally:
        for name in cluster.names():
            cluster.process(name).kill()


def members(cluster):
    """By name, what `admin om roles` tells of each member."""
    return {member["name"]: member for member in cluster.admin("om", "roles")["members"]}


def equal_digests(cluster):
    """Index and digest if every member that answers has the same, else None."""
    state = {(m.get("applied"), m.get("digest")) for m in members(cluster).values()}
    return state.pop() if len(state) == 1 and None not in next(iter(state)) else None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path)
    parser.add_argument("--keys", type=int, default=10_000)
    parser.add_argument("--folder", help="kept if named; else a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trioxide-drill-") as temporary:
        run(options.folder or temporary, options.keys, options.bin)


if __name__ == "__main__":
    main()
