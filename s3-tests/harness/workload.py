"""Continuous writing and reading, with a memory of what was acknowledged.

What a client was told is a promise: a key whose PUT was answered with 200 is there from then on, byte for byte. An answer
that never came leaves it open: the write may have happened, or not, or happen later. So there are two kinds of keys: those
written once (after the 200 there is one right answer for ever) and registers that are overwritten (one of the last
acknowledged value and the values whose fate is open).

A body is made from its key and generation alone, so that checking needs no copy of what was sent.
"""

import hashlib
import random
import threading
import time
from dataclasses import dataclass, field

from botocore.exceptions import BotoCoreError, ClientError

from .clients import boto

KIB, MIB = 1 << 10, 1 << 20
# Nothing, less than a small block, edges of blocks in the log, one chunk, several chunks.
SIZES = [0, 100, 4 * KIB, 4 * KIB, 4 * KIB, 64 * KIB, 64 * KIB + 1, 300 * KIB, MIB, 3 * MIB + 7]
PART = 5 * MIB


def body_of(key, generation, size):
    return hashlib.shake_128(f"{key} {generation}".encode()).digest(size)


class Violation(AssertionError):
    """A promise was broken."""


@dataclass
class Value:
    """What a key may hold: (generation, size) pairs; None is absence."""

    settled: tuple | None = None
    open: set = field(default_factory=set)

    def allows(self, seen):
        return seen == self.settled or seen in self.open


class Worker(threading.Thread):
    def __init__(self, load, number):
        super().__init__(name=f"client-{number}", daemon=True)
        self.load, self.number = load, number
        self.dice = random.Random(f"{load.seed} {number}")
        self.clients = [boto(endpoint, load.keys, retries=load.retries, read_timeout=20, connect_timeout=3) for endpoint in load.endpoints]
        self.turn = number
        self.made = 0
        self.generation = 0
        self.values = {}

    @property
    def client(self):
        return self.clients[self.turn % len(self.clients)]

    def run(self):
        try:
            while not self.load.stopping.is_set():
                try:
                    self.step()
                except (ClientError, BotoCoreError) as error:
                    self.load.errors.append((time.monotonic(), f"{self.name}: {error}"))
                    # As a load balancer would: the next request goes to the next gateway.
                    self.turn += 1
                    self.load.stopping.wait(0.05)
        except Violation as violation:
            self.load.violations.append(str(violation))
            self.load.stopping.set()

    def step(self):
        choice = self.dice.random()
        if choice < 0.55:
            self.made += 1
            self.put(f"once/{self.number}/{self.made:06}")
        elif choice < 0.75:
            self.put(f"register/{self.number}/{self.dice.randrange(10)}")
        elif choice < 0.80:
            self.delete(f"register/{self.number}/{self.dice.randrange(10)}")
        elif self.values:
            self.check(self.dice.choice(list(self.values)), self.client)

    def put(self, key):
        self.generation += 1
        large = self.dice.random() < self.load.multipart
        new = (self.generation, 2 * PART + 99 if large else self.dice.choice(self.load.sizes))
        value = self.values.setdefault(key, Value())
        # Open before it is sent: from here on a reader may see it.
        value.open.add(new)
        body = body_of(key, *new)
        if large:
            self.put_in_parts(key, body)
        else:
            self.client.put_object(Bucket=self.load.bucket, Key=key, Body=body)
        value.settled = new
        value.open.discard(new)
        self.load.acknowledged(self.number)

    def put_in_parts(self, key, body):
        words = {"Bucket": self.load.bucket, "Key": key}
        upload_id = self.client.create_multipart_upload(**words)["UploadId"]
        parts = []
        for number, at in enumerate(range(0, len(body), PART), 1):
            answer = self.client.upload_part(**words, UploadId=upload_id, PartNumber=number, Body=body[at:at + PART])
            parts.append({"PartNumber": number, "ETag": answer["ETag"]})
        self.client.complete_multipart_upload(**words, UploadId=upload_id, MultipartUpload={"Parts": parts})

    def delete(self, key):
        value = self.values.setdefault(key, Value())
        value.open.add(None)
        self.client.delete_object(Bucket=self.load.bucket, Key=key)
        value.settled = None
        value.open.discard(None)
        self.load.acknowledged(self.number)

    def check(self, key, client):
        """Reads the key and holds it against what it may hold. Our own keys only, so nothing moves meanwhile."""
        value = self.values[key]
        try:
            body = client.get_object(Bucket=self.load.bucket, Key=key)["Body"].read()
        except ClientError as error:
            if error.response["Error"]["Code"] != "NoSuchKey":
                raise
            if not value.allows(None):
                raise Violation(f"{key} is gone; it was acknowledged with generation and size {value.settled}") from None
            return
        for possible in {value.settled} | value.open:
            if possible is not None and len(body) == possible[1] and body == body_of(key, *possible):
                return
        raise Violation(f"{key} holds {len(body)} bytes that are none of {value.settled}, {value.open}")


class Workload:
    """`clients` threads against `endpoints`, each with the retries of an SDK's default."""

    def __init__(self, endpoints, keys, bucket, clients=8, sizes=SIZES, multipart=0.01, retries=4, seed=None):
        self.endpoints, self.keys, self.bucket = endpoints, keys, bucket
        self.sizes, self.multipart, self.retries = sizes, multipart, retries
        self.seed = seed if seed is not None else random.randrange(1 << 32)
        self.stopping = threading.Event()
        self.errors, self.violations, self.times = [], [], []
        self.workers = [Worker(self, number) for number in range(clients)]

    def acknowledged(self, _worker):
        self.times.append(time.monotonic())

    def start(self):
        for worker in self.workers:
            worker.start()
        return self

    def stop(self):
        self.stopping.set()
        for worker in self.workers:
            worker.join(180)
            assert not worker.is_alive(), f"{worker.name} hangs in a request"
        self.raise_violations()
        return self

    def raise_violations(self):
        if self.violations:
            raise Violation(f"seed {self.seed}: " + "; ".join(self.violations))

    def writes_since(self, moment):
        return sum(1 for at in self.times if at >= moment)

    def longest_gap(self, since):
        """The longest time from `since` on in which no write at all was acknowledged."""
        times = [since] + sorted(at for at in self.times if at >= since)
        return max((later - earlier for earlier, later in zip(times, times[1:])), default=float("inf"))

    def total(self):
        return len(self.times)

    def verify(self, endpoint=None):
        """Reads everything ever written and lists it; raises a Violation on any difference. Returns how many keys."""
        client = boto(endpoint or self.endpoints[0], self.keys, retries=4)
        listed, token = set(), {}
        while True:
            page = client.list_objects_v2(Bucket=self.bucket, **token)
            listed.update((entry["Key"], entry["Size"]) for entry in page.get("Contents", []))
            if not page["IsTruncated"]:
                break
            token = {"ContinuationToken": page["NextContinuationToken"]}
        names = {key for key, _ in listed}
        known = set()
        for worker in self.workers:
            for key, value in worker.values.items():
                known.add(key)
                worker.check(key, client)
                if value.settled is not None and not value.open and (key, value.settled[1]) not in listed:
                    raise Violation(f"{key} is not listed with its size {value.settled[1]}")
                if value.settled is None and not value.open and key in names:
                    raise Violation(f"{key} is listed; its absence was acknowledged")
        if names - known:
            raise Violation(f"listed, and never written: {sorted(names - known)[:5]}")
        return len(known)
