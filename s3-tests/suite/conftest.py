"""Servers and clients for the tests.

One server for each worker and the whole run, on free ports; a test takes a bucket of its own, so nothing needs cleaning and
tests do not see each other. A test that kills or configures a server starts one itself (`new_server`).
"""

import itertools
import os
import shutil

import pytest

from harness.clients import boto
from harness.server import ALICE, BOB, ROOT_KEYS, Server
from harness.sigv4 import Signer
from harness.webhook import Receiver
from harness.wire import exchange

_numbers = itertools.count(1)

# The suite's server answers buckets as virtual hosts under this name.
DOMAIN = "s3.suite.example"


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"), config=f'[gateway]\ndomains = ["{DOMAIN}"]\n')
    server.start().wait_ready()
    yield server
    assert server.alive(), f"the server died during the tests:\n{server.log_tail(15)}"
    assert server.stop() == 0, f"no clean end:\n{server.log_tail(15)}"
    panics = [line for line in server.log.read_text(errors="replace").splitlines() if "panicked at" in line]
    assert not panics, panics


@pytest.fixture
def new_server(tmp_path):
    """Makes servers that end with the test; their folders go if it passed."""
    made = []

    def make(**options):
        server = Server(tmp_path / f"server-{len(made)}", **options)
        made.append(server)
        return server

    yield make
    for server in made:
        server.kill()
        shutil.rmtree(server.data, ignore_errors=True)


@pytest.fixture(scope="module")
def receiver():
    receiver = Receiver().start()
    yield receiver
    receiver.stop()


def keys_of(user):
    return user.access_key, user.secret_key


@pytest.fixture(scope="session")
def iam(server):
    """Alice's, at S3's endpoint."""
    return boto(server.endpoint, keys_of(ALICE), service="iam")


@pytest.fixture
def user(iam):
    """A user of Alice's account: a name, and the keys."""
    name = new_name("user")
    iam.create_user(UserName=name, Path="/suite/")
    pair = iam.create_access_key(UserName=name)["AccessKey"]
    return name, (pair["AccessKeyId"], pair["SecretAccessKey"])


@pytest.fixture(scope="session")
def s3(server):
    """Alice's client."""
    return boto(server.endpoint, keys_of(ALICE))


@pytest.fixture(scope="session")
def bobs(server):
    return boto(server.endpoint, keys_of(BOB))


@pytest.fixture(scope="session")
def root(server):
    return boto(server.endpoint, ROOT_KEYS)


@pytest.fixture(scope="session")
def signer():
    return Signer(*keys_of(ALICE))


def new_name(word="bucket"):
    return f"{word}-{os.environ.get('PYTEST_XDIST_WORKER', 'main')}-{os.getpid()}-{next(_numbers)}"


@pytest.fixture
def bucket(s3):
    """A new bucket of Alice's."""
    name = new_name()
    s3.create_bucket(Bucket=name)
    return name


@pytest.fixture
def send(server, signer):
    """Signs a request as Alice and sends it on a connection of its own."""
    def send(request, **signing):
        return exchange(server.endpoint, signer.sign(request, server.endpoint, **signing))
    return send
