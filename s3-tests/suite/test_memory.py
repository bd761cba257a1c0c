"""Memory does not grow with what passes through."""

import os
import threading

import pytest

from conftest import keys_of
from harness.clients import boto
from harness.server import ALICE
from harness.wire import Request, exchange, path_of


class Zeros:
    """A body of `size` bytes that is never in memory."""

    def __init__(self, size):
        self.size, self.at = size, 0

    def read(self, count=-1):
        count = min(count if count >= 0 else self.size, self.size - self.at)
        self.at += count
        return bytes(count)

    def tell(self):
        return self.at

    def seek(self, offset, whence=0):
        self.at = {0: 0, 1: self.at, 2: self.size}[whence] + offset
        return self.at

    def __len__(self):
        return self.size


@pytest.mark.timeout(600)
@pytest.mark.parametrize("size", [100 << 20, pytest.param(1 << 30, marks=pytest.mark.long)], ids=["100MiB", "1GiB"])
def test_eight_clients_with_large_objects_fit_in_300_mib(new_server, size):
    server = new_server()
    server.start().wait_ready()
    boto(server.endpoint, keys_of(ALICE)).create_bucket(Bucket="bucket")
    peak, stop, failures = [server.rss()], threading.Event(), []

    def watch():
        while not stop.wait(0.05):
            peak.append(server.rss())

    def work(number):
        client = boto(server.endpoint, keys_of(ALICE), request_checksum_calculation="when_required", response_checksum_validation="when_required")
        try:
            client.put_object(Bucket="bucket", Key=f"k{number}", Body=Zeros(size))
            seen = 0
            for piece in client.get_object(Bucket="bucket", Key=f"k{number}")["Body"].iter_chunks(1 << 20):
                seen += len(piece)
            assert seen == size
            client.delete_object(Bucket="bucket", Key=f"k{number}")
        except Exception as error:
            failures.append(error)

    watcher = threading.Thread(target=watch)
    watcher.start()
    workers = [threading.Thread(target=work, args=(number,)) for number in range(8)]
    [worker.start() for worker in workers]
    [worker.join() for worker in workers]
    stop.set()
    watcher.join()
    assert not failures, failures[0]
    assert max(peak) < 300 << 20, f"{max(peak) >> 20} MiB resident"


def test_a_reader_that_does_not_read_holds_little(new_server):
    server = new_server()
    server.start().wait_ready()
    s3 = boto(server.endpoint, keys_of(ALICE))
    s3.create_bucket(Bucket="bucket")
    s3.put_object(Bucket="bucket", Key="k", Body=os.urandom(32 << 20))
    before = server.rss()
    from harness.sigv4 import Signer
    from harness.wire import Connection
    stalled = []
    for _ in range(40):
        connection = Connection(server.endpoint)
        connection.send(Signer(*keys_of(ALICE)).sign(Request("GET", path_of("bucket", "k")), server.endpoint).to_bytes())
        assert connection.read_head().startswith(b"HTTP/1.1 200")
        stalled.append(connection)
    assert server.rss() < before + (150 << 20)
    for connection in stalled:
        connection.close()
