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


# So little log is kept that the missed keys are not in it any more.
SHORT_LOG = "[raft]\nlog_entries = 2000\nkeep_entries = 500\n"


def run(folder, keys=10_000, executable=None, say=print, config=SHORT_LOG):
    cluster = Cluster(folder, executable or ROOT / "target/release/trioxide")
    cluster.create(free_ports=True, extra=config)
    try:
        cluster.start().wait_ready(timeout=180).wait_writable()
        client = boto(cluster.s3_urls()[0], cluster.keys, retries=8)
        client.create_bucket(Bucket="drill")
        leader = cluster.wait_leader("om")
        away = next(name for name in cluster.names("om") if name != leader)
        missed_from = views(cluster)[away]["applied"]
        cluster.kill(away)
        write_keys(cluster, "drill", keys)
        purged = wait_until(lambda: views(cluster)[leader]["purged"] > missed_from and views(cluster)[leader]["purged"], 60,
                            f"the leader's log purged beyond {missed_from}, from where {away} has to go on")
        cluster.start(away).wait_ready(away, timeout=120)
        wait_until(lambda: away in views(cluster) and views(cluster)[away]["applied"] >= purged, 120, f"{away} beyond what the log still has")
        say(f"{away} stopped at {missed_from} and missed {keys} keys; the log is purged to {purged}; it caught up by snapshot")
        digest = wait_until(lambda: equal_digest(cluster), 60, "one digest of all members at one index", pause=0.5)
        say(f"all members hold the same bytes (index/rows/hash): {digest}")
        # And it takes part: the group goes on with it when another is gone.
        cluster.kill(next(name for name in cluster.names("om") if name not in (away, leader)))
        client.put_object(Bucket="drill", Key="afterwards", Body=b"x")
        say(f"with another member gone, writes go on with {away}")
    finally:
        for name in cluster.names():
            cluster.process(name).kill()


def views(cluster):
    """By name, what each member of the OM that answers says of itself."""
    roles = cluster.admin("om", "roles")
    endpoints = {member["id"]: member["endpoint"] for member in roles["members"]}
    return {cluster.named(endpoints[view["me"]]): view for view in roles["views"]}


def equal_digest(cluster):
    """The digest if all members have the same one; it begins with the index at which it was taken."""
    seen = {name: view["state_digest"] for name, view in views(cluster).items()}
    digests = set(seen.values())
    return digests.pop() if len(seen) == len(cluster.names("om")) and len(digests) == 1 and None not in digests else None


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
