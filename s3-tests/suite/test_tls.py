"""TLS on the listeners: what clients are shown, what policies and logs are told of it, and certificates that change while it runs."""

import concurrent.futures
import contextlib
import json
import os
import pathlib
import shutil
import signal
import socket
import ssl
import subprocess
import time

import pytest

from conftest import keys_of, new_name
from harness.clients import boto, environment
from harness.server import ALICE, ROOT_KEYS, wait_until

PAIRS = pathlib.Path(__file__).parent / "tls"
AUTHORITY = PAIRS / "ca.pem"


def show(folder, name):
    """Puts a pair where the server looks for it, the key for its owner alone."""
    for kind in ("pem", "key"):
        new = folder / f"new.{kind}"
        shutil.copy(PAIRS / f"{name}.{kind}", new)
        new.chmod(0o600)
        new.rename(folder / f"shown.{kind}")


def section(name, folder):
    return f'[{name}.tls]\ncert_file = "{folder / "shown.pem"}"\nkey_file = "{folder / "shown.key"}"\n'


def trusting(**versions):
    context = ssl.create_default_context(cafile=AUTHORITY)
    for name, version in versions.items():
        setattr(context, name, version)
    return context


def handshake(port, context):
    """The session, and the name of whoever is shown."""
    with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
        with context.wrap_socket(plain, server_hostname="localhost") as secured:
            subject = dict(pair for entry in secured.getpeercert()["subject"] for pair in entry)
            return secured.version(), subject["commonName"]


@pytest.fixture(scope="module")
def secured(tmp_path_factory):
    from harness.server import Server
    folder = tmp_path_factory.mktemp("secured")
    show(folder, "one")
    audit = folder / "audit.json"
    server = Server(folder / "server", config=section("gateway", folder) + f'[log]\naudit = "{audit}"\n[gateway]\naccess_log_roll = "1s"\n')
    server.endpoint = server.endpoint.replace("http://127.0.0.1", "https://localhost")
    server.start().wait_ready()
    yield server
    assert server.stop() == 0, server.log_tail(15)


@pytest.fixture
def s3(secured, monkeypatch):
    monkeypatch.setenv("AWS_CA_BUNDLE", str(AUTHORITY))
    return boto(secured.endpoint, keys_of(ALICE))


def test_clients_that_trust_the_authority_work_as_ever(secured, s3):
    name, body = new_name(), os.urandom(9 << 20)
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=body)
    assert s3.get_object(Bucket=name, Key="k")["Body"].read() == body
    upload = s3.create_multipart_upload(Bucket=name, Key="m")["UploadId"]
    part = s3.upload_part(Bucket=name, Key="m", UploadId=upload, PartNumber=1, Body=body)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    done = s3.complete_multipart_upload(Bucket=name, Key="m", UploadId=upload, MultipartUpload=parts)
    assert done["Location"] == f"{secured.endpoint}/{name}/m"
    url = s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "m"})
    assert url.startswith("https://")
    command = ["aws", "s3", "cp", f"s3://{name}/m", "-", "--quiet"]
    env = {**environment(secured.endpoint, keys_of(ALICE)), "AWS_CA_BUNDLE": str(AUTHORITY)}
    assert subprocess.run(command, env=env, capture_output=True, timeout=60, check=True).stdout == body


def test_a_client_that_does_not_know_the_authority_goes_no_further(secured):
    with pytest.raises(ssl.SSLCertVerificationError):
        handshake(secured.s3_port, ssl.create_default_context())


def test_nothing_is_served_in_the_clear(secured):
    with socket.create_connection(("127.0.0.1", secured.s3_port), timeout=10) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
        answer = b"".join(iter(lambda: plain.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 400 ") and answer.endswith(b"https://.\n"), answer
    # Nor what is no language at all, and none of it ends the server.
    for noise in (b"\x16\x03\x01\x00\x05hello", b"\x16" + b"\xff" * 70000, b"\x00" * 10):
        with socket.create_connection(("127.0.0.1", secured.s3_port), timeout=10) as plain:
            try:
                plain.sendall(noise)
                plain.shutdown(socket.SHUT_WR)
                while plain.recv(4096):
                    pass
            except OSError:
                pass
    assert secured.alive()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_versions_of_today_and_none_before(secured):
    newest, older = ssl.TLSVersion.TLSv1_3, ssl.TLSVersion.TLSv1_2
    assert handshake(secured.s3_port, trusting(minimum_version=newest))[0] == "TLSv1.3"
    assert handshake(secured.s3_port, trusting(maximum_version=older))[0] == "TLSv1.2"
    # Old versions are offered at all only where the client's own security level is low.
    old = trusting(minimum_version=ssl.TLSVersion.TLSv1, maximum_version=ssl.TLSVersion.TLSv1_1)
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.raises((ssl.SSLError, OSError)):
        handshake(secured.s3_port, old)


def get(secured, path, context):
    import http.client
    connection = http.client.HTTPSConnection("localhost", secured.s3_port, context=context, timeout=10)
    connection.request("GET", path)
    return connection.getresponse().status


def test_policies_ask_for_the_version(secured, s3):
    name = new_name()
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    everybody = {"Effect": "Allow", "Principal": "*", "Action": "s3:GetObject", "Resource": f"arn:aws:s3:::{name}/*"}

    def allow(**condition):
        policy = {"Version": "2012-10-17", "Statement": [{**everybody, "Condition": condition}]}
        s3.put_bucket_policy(Bucket=name, Policy=json.dumps(policy))

    new = trusting(minimum_version=ssl.TLSVersion.TLSv1_3)
    old = trusting(maximum_version=ssl.TLSVersion.TLSv1_2)
    allow(NumericGreaterThanEquals={"s3:TlsVersion": "1.3"})
    assert (get(secured, f"/{name}/k", new), get(secured, f"/{name}/k", old)) == (200, 403)
    allow(NumericEquals={"s3:TlsVersion": "1.2"})
    assert (get(secured, f"/{name}/k", new), get(secured, f"/{name}/k", old)) == (403, 200)
    allow(Bool={"aws:SecureTransport": "true"})
    assert get(secured, f"/{name}/k", new) == 200
    allow(Bool={"aws:SecureTransport": "false"})
    assert get(secured, f"/{name}/k", new) == 403


def test_access_logs_tell_version_and_cipher(secured, s3):
    source, target = new_name(), new_name("logs")
    for name in (source, target):
        s3.create_bucket(Bucket=name)
    delivery = {"Effect": "Allow", "Principal": {"Service": "logging.s3.amazonaws.com"}, "Action": "s3:PutObject",
                "Resource": f"arn:aws:s3:::{target}/*"}
    s3.put_bucket_policy(Bucket=target, Policy=json.dumps({"Version": "2012-10-17", "Statement": [delivery]}))
    s3.put_bucket_logging(Bucket=source, BucketLoggingStatus={"LoggingEnabled": {"TargetBucket": target, "TargetPrefix": ""}})

    def line():
        s3.list_objects_v2(Bucket=source)
        logs = s3.list_objects_v2(Bucket=target).get("Contents", [])
        texts = [s3.get_object(Bucket=target, Key=log["Key"])["Body"].read().decode() for log in logs]
        return next((line for text in texts for line in text.splitlines() if "REST.GET.BUCKET" in line), None)

    line = wait_until(line, 30, "a line in the log")
    fields = line.split(" SigV4 ")[1].split()
    assert fields[0].startswith(("TLS_", "ECDHE-")) and fields[3] in ("TLSv1.3", "TLSv1.2"), line


def open_secured(server):
    """A connection whose peer takes little at a time."""
    plain = socket.socket()
    plain.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    plain.settimeout(30)
    plain.connect(("127.0.0.1", server.s3_port))
    return trusting().wrap_socket(plain, server_hostname="localhost")


@pytest.mark.parametrize("under_tls", [True, False], ids=["tls", "clear"])
def test_peers_that_take_nothing_do_not_keep_others_out(new_server, tmp_path, under_tls):
    show(tmp_path, "one")
    server = new_server(config='[gateway]\nmax_connections = 4\nidle_timeout = "2s"\n' + (section("gateway", tmp_path) if under_tls else ""))
    server.start().wait_ready()
    request = b"GET /no-such-bucket/k HTTP/1.1\r\nHost: localhost\r\n\r\n"
    deaf = []
    for _ in range(4):
        peer = open_secured(server) if under_tls else socket.create_connection(("127.0.0.1", server.s3_port), timeout=30)
        peer.settimeout(0.5)
        with contextlib.suppress(OSError):
            while True:
                peer.send(request * 100)
        deaf.append(peer)

    def serves():
        with contextlib.suppress(OSError):
            if under_tls:
                return handshake(server.s3_port, trusting())[1] == "one"
            with socket.create_connection(("127.0.0.1", server.s3_port), timeout=2) as peer:
                peer.sendall(b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
                return peer.recv(8) == b"HTTP/1.1"
    wait_until(serves, 30, "a slot for somebody else")
    for peer in deaf:
        peer.close()


def test_answers_that_wait_in_the_server_end_whole_when_it_stops(new_server, tmp_path, monkeypatch):
    show(tmp_path, "one")
    audit = tmp_path / "audit.json"
    server = new_server(config=section("gateway", tmp_path) + f'[log]\naudit = "{audit}"\n')
    server.start().wait_ready()
    body = os.urandom(5 << 20)
    monkeypatch.setenv("AWS_CA_BUNDLE", str(AUTHORITY))
    s3 = boto(server.endpoint.replace("http://127.0.0.1", "https://localhost"), keys_of(ALICE), signature_version="s3v4")
    name = new_name()
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=body)
    path = s3.generate_presigned_url("get_object", Params={"Bucket": name, "Key": "k"}).split("/", 3)[3]
    # The kernel takes some megabytes, and TLS 64 KiB more: of one of these the end alone lies there.
    sizes = range(2 << 20, 5 << 20, 48 << 10)
    readers = [open_secured(server) for _ in sizes]
    for reader, size in zip(readers, sizes):
        reader.sendall(f"GET /{path} HTTP/1.1\r\nHost: localhost:{server.s3_port}\r\nRange: bytes=0-{size - 1}\r\n\r\n".encode())

    def is_quiet():
        before = audit.stat().st_size
        time.sleep(0.5)  # How long nothing has to happen to count as quiet.
        return audit.stat().st_size == before and b"GetObject" in audit.read_bytes()
    wait_until(is_quiet, 30, "all that can be sent was")
    server.signal(signal.SIGTERM)

    def read(reader):
        pieces = []
        with contextlib.suppress(OSError):
            while piece := reader.recv(1 << 16):
                pieces.append(piece)
        return b"".join(pieces).split(b"\r\n\r\n", 1)[1]
    with concurrent.futures.ThreadPoolExecutor(8) as threads:
        got = list(threads.map(read, readers))
    assert [len(answer) for answer in got] == list(sizes)
    assert all(body.startswith(answer) for answer in got)
    assert server.stop() == 0


def test_a_renewed_certificate_is_shown_without_a_restart(new_server, tmp_path):
    show(tmp_path, "one")
    server = new_server(config=section("gateway", tmp_path))
    server.start().wait_ready()
    assert handshake(server.s3_port, trusting())[1] == "one"
    shutil.copy(PAIRS / "two.pem", tmp_path / "shown.pem")
    wait_until(lambda: "the certificate stays the one that it was" in server.log.read_text(), 30, "half a pair is refused")
    assert handshake(server.s3_port, trusting())[1] == "one"
    show(tmp_path, "two")
    wait_until(lambda: handshake(server.s3_port, trusting())[1] == "two", 30, "the new certificate")


def ended(server, why):
    """The exit code of a server that cannot start, which says why."""
    done = subprocess.run(server.command, env={**os.environ, **server.env}, capture_output=True, text=True, timeout=60)
    assert why in done.stderr and "panicked" not in done.stderr, done.stderr
    return done.returncode


def test_a_server_does_not_start_with_a_pair_that_does_not_serve(new_server, tmp_path):
    show(tmp_path, "one")
    key = tmp_path / "shown.key"
    for spoil, why in ((lambda: key.chmod(0o644), "readable by others"),
                       (lambda: (key.write_bytes((PAIRS / "two.key").read_bytes()), key.chmod(0o600)), "private key does not serve"),
                       (key.unlink, "No such file")):
        spoil()
        assert ended(new_server(config=section("gateway", tmp_path)), why) == 1
    half = new_server(config=f'[gateway.tls]\ncert_file = "{tmp_path / "shown.pem"}"\n')
    assert ended(half, "cert_file and key_file belong together") == 2


def test_administration_under_tls(new_server, tmp_path):
    show(tmp_path, "one")
    server = new_server(config=section("admin", tmp_path))
    server.admin = server.admin.replace("http://127.0.0.1", "https://localhost")
    server.start()

    def status(endpoint=server.admin, **env):
        env = {**os.environ, "AWS_ACCESS_KEY_ID": ROOT_KEYS[0], "AWS_SECRET_ACCESS_KEY": ROOT_KEYS[1], **env}
        return subprocess.run([server.binary, "admin", "--endpoint", endpoint, "status"], env=env, capture_output=True,
                              text=True, timeout=60)

    healthy = wait_until(lambda: (run := status(TRIOXIDE_CA_FILE=str(AUTHORITY))).returncode == 0 and run, 60, "an answer")
    assert "healthy" in healthy.stdout.lower() or "ready" in healthy.stdout.lower(), healthy.stdout
    # Whoever asks at the wrong place, or in the wrong way, is told what to do in its stead.
    s3 = server.endpoint.replace("127.0.0.1", "localhost")
    for endpoint, told in ((server.admin, "certificate of an authority that this machine does not know: give that authority's with --ca-file FILE"),
                           (server.admin.replace("https:", "http:"), f"speaks TLS: give --endpoint {server.admin}"),
                           (s3.replace("http:", "https:"), f"does not speak TLS: give --endpoint {s3}"),
                           (s3, "is not an admin listener but speaks S3: administrators have a port of their own")):
        refused = status(endpoint)
        assert refused.returncode == 3 and not refused.stdout, refused
        assert told in refused.stderr and refused.stderr.count("\n") == 1, refused.stderr
