"""kill -9 of the single process in the middle of parallel uploads, again and again.

After every restart: boot within the limit, and everything ever acknowledged there byte for byte, in GET and in listings.
"""

import argparse
import pathlib
import random
import tempfile
import time

from harness.clients import boto
from harness.server import ALICE, Server
from harness.workload import Workload


def run(folder, kills, boot_limit=10.0, executable=None, seed=None, say=print, clients=8):
    dice = random.Random(seed)
    server = Server(folder, executable=executable)
    keys = (ALICE.access_key, ALICE.secret_key)
    loads, boots = [], []
    try:
        server.start().wait_ready()
        for number in range(kills):
            bucket = f"round-{number}"
            boto(server.endpoint, keys, retries=4).create_bucket(Bucket=bucket)
            # No retries: what fails when the process dies must be seen to fail.
            load = Workload([server.endpoint], keys, bucket, clients=clients, retries=0, multipart=0.05,
                            seed=None if seed is None else seed + number).start()
            loads.append(load)
            deadline = time.monotonic() + dice.uniform(0.3, 2.0)
            while time.monotonic() < deadline or load.total() < clients:
                load.raise_violations()
                time.sleep(0.01)
            server.kill()
            load.stop()
            began = time.monotonic()
            server.start().wait_ready(timeout=60)
            boots.append(time.monotonic() - began)
            checked = load.verify()
            say(f"kill {number + 1}: {load.total()} writes acknowledged, boot {boots[-1]:.2f} s, {checked} keys are right")
            assert boots[-1] < boot_limit, f"boot took {boots[-1]:.1f} s"
        # What an early kill left behind must have outlived all later ones.
        total = sum(load.verify() for load in loads)
        say(f"{kills} kills: {sum(load.total() for load in loads)} writes acknowledged, {total} keys right, slowest boot {max(boots):.2f} s")
        assert server.stop() == 0
    finally:
        server.kill()


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--bin", type=pathlib.Path)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int)
    parser.add_argument("--folder", help="kept if named; else a temporary one")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trioxide-drill-") as temporary:
        run(options.folder or temporary, options.kills, executable=options.bin, seed=options.seed)


if __name__ == "__main__":
    main()
