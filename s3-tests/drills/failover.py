"""A cluster under continuous PUT and GET loses one process after another: OM leader, SCM leader, a datanode with its disk, a
gateway. Each comes back before the next goes.

Nothing acknowledged is lost or changed, writing resumes within the limit, and the wiped datanode gets its replicas back.
"""

import argparse
import pathlib
import tempfile
import time

from . import ROOT
from cluster import Cluster
from harness.clients import boto
from harness.workload import Workload
from processes import wait_until


def run(folder, executable=None, resume_limit=5.0, settle=3.0, clients=8, say=print, config=""):
    cluster = Cluster(folder, executable or ROOT / "target/release/trioxide")
    # A dead datanode is declared dead soon, so that the drill sees the repair.
    cluster.create(free_ports=True, extra=config)
    try:
        cluster.start().wait_ready(timeout=180).wait_writable()
        boto(cluster.s3_urls()[0], cluster.keys, retries=8).create_bucket(Bucket="drill")
        load = Workload(cluster.s3_urls(), cluster.keys, "drill", clients=clients).start()
        wait_until(lambda: load.total() >= 50 or load.violations, 120, "50 writes in the healthy cluster")
        victims = [
            ("the OM leader", lambda: cluster.wait_leader("om"), False),
            ("the SCM leader", lambda: cluster.wait_leader("scm"), False),
            ("a datanode, with its disk", lambda: "dn2", True),
            ("a gateway", lambda: "gw1", False),
        ]
        gaps = {}
        for what, choose, wipe in victims:
            name = choose()
            at = time.monotonic()
            cluster.wipe(name) if wipe else cluster.kill(name)
            # Resumed: writes go through again, and have for a while, with the process still gone.
            wait_until(lambda: load.writes_since(at) >= 20 and time.monotonic() > at + settle or load.violations, 120,
                       f"writes without {what}")
            gaps[what] = load.longest_gap(at)
            cluster.start(name).wait_ready(name, timeout=120)
            load.raise_violations()
            time.sleep(settle)
            say(f"killed {what} ({name}): longest time without a write {gaps[what]:.2f} s, {load.writes_since(at)} writes since")
        load.stop()
        say(f"{load.total()} writes acknowledged, {len(load.errors)} requests failed for good after the SDK's retries")
        for endpoint in cluster.s3_urls():
            say(f"{load.verify(endpoint)} keys are right through {endpoint}")
        wait_replicas(cluster)
        say("every container has its replicas again, those of the wiped datanode too")
        # The replicas that came back must be good ones: read with another datanode gone.
        cluster.kill("dn1")
        say(f"{load.verify(cluster.s3_urls()[1])} keys are right with dn1 gone, from the others and the refilled dn2")
        cluster.start("dn1").wait_ready("dn1")
        late = {what: gap for what, gap in gaps.items() if gap > resume_limit}
        assert not late, f"writes did not resume within {resume_limit} s: {late}"
        return gaps
    except BaseException:
        for name in cluster.names():
            say(f"--- the end of {name}.log\n{cluster.process(name).log_tail(8)}")
        raise
    finally:
        for name in cluster.names():
            cluster.process(name).kill()


def wait_replicas(cluster, timeout=300):
    """Until no container lacks a good replica, and this stays so for two looks in a row."""
    looks = []

    def whole():
        looks.append(len(cluster.admin("scm", "containers", "--unhealthy")))
        return len(looks) >= 2 and looks[-2:] == [0, 0]
    wait_until(whole, timeout, "every container with all its replicas", pause=1)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path)
    parser.add_argument("--resume", type=float, default=5.0, help="seconds in which writing must resume")
    parser.add_argument("--folder", help="kept if named; else a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trioxide-drill-") as temporary:
        run(options.folder or temporary, options.bin, options.resume)


if __name__ == "__main__":
    main()
