"""Where a request comes from, when it comes through a proxy: the headers of those that the configuration trusts count, nobody else's."""

import json

import pytest

from conftest import keys_of, new_name
from harness.clients import boto
from harness.server import ALICE, wait_until
from harness.sigv4 import Signer
from harness.wire import Request, exchange, path_of

OFFICE = "203.0.113.7"


def statement(effect, **condition):
    return {"Effect": effect, "Principal": "*", "Action": "s3:GetObject", "Resource": "{arn}/*", "Condition": condition}


@pytest.fixture(scope="module", params=["trusted", "not trusted"])
def proxied(request, tmp_path_factory):
    """A server, whether it trusts us, and its audit."""
    from harness.server import Server
    folder = tmp_path_factory.mktemp("proxied")
    is_trusted, audit = request.param == "trusted", folder / "audit.json"
    trusted = '["127.0.0.0/8"]' if is_trusted else '["198.51.100.0/24"]'
    server = Server(folder, config=f'[gateway]\ntrusted_proxies = {trusted}\n[log]\naudit = "{audit}"\n')
    server.start().wait_ready()
    yield server, is_trusted, audit
    server.kill()


def bucket_with(server, *statements):
    s3, name = boto(server.endpoint, keys_of(ALICE)), new_name()
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="k", Body=b"x")
    text = json.dumps({"Version": "2012-10-17", "Statement": list(statements)}).replace("{arn}", f"arn:aws:s3:::{name}")
    s3.put_bucket_policy(Bucket=name, Policy=text)
    return name


def get(server, bucket, *headers, signed=False):
    request = Request("GET", path_of(bucket, "k"), headers=list(headers))
    if signed:
        Signer(*keys_of(ALICE)).sign(request, server.endpoint)
    else:
        request.set("host", "h")
    return exchange(server.endpoint, request).status


def test_the_last_address_that_is_no_proxy_is_the_client(proxied):
    server, is_trusted, _ = proxied
    bucket = bucket_with(server, statement("Allow", IpAddress={"aws:SourceIp": f"{OFFICE}/32"}))
    for forwarded, is_office in ((OFFICE, True), (f"198.51.100.1, {OFFICE}", True), (f"{OFFICE}, 127.0.0.9", True),
                                 (f"{OFFICE}, 198.51.100.1", False), ("198.51.100.1", False), ("nonsense", False)):
        status = get(server, bucket, ("X-Forwarded-For", forwarded))
        assert status == (200 if is_office and is_trusted else 403), forwarded
    assert get(server, bucket) == 403


def test_whom_a_proxy_does_not_name_readably_has_no_address_and_not_the_proxys(proxied):
    server, is_trusted, audit = proxied
    here = {"aws:SourceIp": "127.0.0.0/8"}
    let_in = bucket_with(server, statement("Allow", IpAddress=here))
    let_all_but = bucket_with(server, statement("Allow", IpAddress={"aws:SourceIp": "0.0.0.0/0"}), statement("Deny", NotIpAddress=here))
    assert get(server, let_in) == 200
    for forwarded in ("unknown", "_hidden", "fe80::1%eth0", '"198.51.100.1"', "198.51.100.1:80:80", "198.51.100.1, ", ""):
        for bucket in (let_in, let_all_but):
            assert get(server, bucket, ("X-Forwarded-For", forwarded)) == (403 if is_trusted else 200), forwarded

    def seen():
        lines = [json.loads(line) for line in audit.read_text().splitlines()]
        return {line["remote"].split(":")[0] for line in lines if line["operation"] == "GetObject" and line["bucket"] == let_in}
    expected = {"127.0.0.1", "-", "198.51.100.1"} if is_trusted else {"127.0.0.1"}
    wait_until(lambda: seen() == expected, 20, "the requests' lines")


def test_tls_is_what_the_proxy_says(proxied):
    server, is_trusted, _ = proxied
    bucket = bucket_with(server, statement("Deny", Bool={"aws:SecureTransport": "false"}))
    assert get(server, bucket, ("X-Forwarded-Proto", "https"), signed=True) == (200 if is_trusted else 403)
    for headers in ([], [("X-Forwarded-Proto", "http")], [("X-Forwarded-Proto", "https, http")]):
        assert get(server, bucket, *headers, signed=True) == 403, headers


def test_audits_tell_the_client(proxied):
    server, is_trusted, audit = proxied
    bucket = bucket_with(server, statement("Allow", IpAddress={"aws:SourceIp": f"{OFFICE}/32"}))
    get(server, bucket, ("X-Forwarded-For", f"10.9.9.9, {OFFICE}"))

    def line():
        lines = [json.loads(line) for line in audit.read_text().splitlines()]
        return next((line for line in lines if line["operation"] == "GetObject" and line["bucket"] == bucket), None)
    wait_until(lambda: line() is not None, 20, "the request's line")
    told = line()
    if is_trusted:
        assert told["remote"] == OFFICE and told["proxy"].startswith("127.0.0.1:"), told
    else:
        assert told["remote"].startswith("127.0.0.1:") and "proxy" not in told, told


def test_iam_asks_the_same(proxied):
    server, is_trusted, _ = proxied
    iam = boto(server.endpoint, keys_of(ALICE), service="iam")
    name = new_name("user")
    iam.create_user(UserName=name)
    pair = iam.create_access_key(UserName=name)["AccessKey"]
    allow = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "iam:ListUsers", "Resource": "*",
                                                     "Condition": {"IpAddress": {"aws:SourceIp": OFFICE}}}]}
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(allow))
    users = boto(server.endpoint, (pair["AccessKeyId"], pair["SecretAccessKey"]), service="iam")

    def forward(request, **_):
        request.headers["X-Forwarded-For"] = OFFICE
    users.meta.events.register("before-send.*", forward)
    if is_trusted:
        users.list_users()
    else:
        with pytest.raises(users.exceptions.ClientError, match="AccessDenied"):
            users.list_users()
