"""Planted secrets: used in every way, rightly and wrongly, and then looked for wherever the server writes or answers."""

import base64
import contextlib
import hashlib
import json
import os
import re
import subprocess

import pytest
from botocore.exceptions import ClientError

from conftest import keys_of
from harness.clients import boto
from harness.server import ALICE, BOB, ROOT_KEYS, Server, http_get
from harness.sigv2 import SignerV2
from harness.sigv4 import STREAMING_SIGNED_TRAILER, Signer, crc32, now
from harness.wire import Request, exchange, path_of, uri_encode
from test_forms import form, request_of

# One server is used for all that is looked through.
pytestmark = pytest.mark.xdist_group("canaries")

BUCKET = "canaries"
TRUST = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": ALICE.account}, "Action": "sts:AssumeRole"}]}


def spellings(secret):
    """All that a log might make of it; of each a part is enough, so that a secret cut short is found, too."""
    raw = secret if isinstance(secret, bytes) else secret.encode()
    plain = [] if isinstance(secret, bytes) else [secret[:24], uri_encode(secret)[:30], json.dumps(secret)[1:25]]
    numbers = ", ".join(str(byte) for byte in raw[:8])
    # In base64 it looks threefold, by what stands before it.
    shifted = [base64.b64encode(raw[start:])[:28] for start in range(3)]
    return [*plain, *(code.decode() for code in shifted), *(uri_encode(code) for code in shifted), raw.hex()[:40], raw.hex().upper()[:40], numbers]


class Canaries:
    """What must not be found, by a name that a failure may show."""

    def __init__(self):
        self.secrets = {}

    def plant(self, name, secret):
        assert len(secret) >= 16
        self.secrets[name] = secret
        return secret

    def found_in(self, text):
        return [name for name, secret in self.secrets.items() if any(spelt in text for spelt in spellings(secret))]


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """A server after all of it: what it wrote, by where, and the secrets."""
    folder = tmp_path_factory.mktemp("canaries")
    audit = folder / "audit.json"
    server = Server(folder / "server", config=f'[log]\naudit = "{audit}"\nlevel = "debug"\n\n[gateway]\nsigv2 = true\n')
    server.start().wait_ready()
    try:
        canaries, texts = Canaries(), {}
        for name, secret in (("alice's", ALICE.secret_key), ("bob's", BOB.secret_key), ("root's", ROOT_KEYS[1])):
            canaries.plant(f"{name} secret", secret)
        canaries.plant("alice's signing key", Signer(*keys_of(ALICE)).key(now()))
        refusals = use_all(server, canaries)
        assert len(refusals) > 30, "too little was refused"
        texts["errors"] = "\n".join(str((answer.headers, answer.body.decode(errors="replace"))) for answer in refusals)
        texts["explanations"] = "\n".join(explanation(server, answer.header("x-amz-request-id")) for answer in refusals)
        texts["metrics"] = http_get(server.admin + "/metrics")[1].decode()
        texts["status"] = http_get(server.admin + "/status")[1].decode()
        texts["command line"] = open(f"/proc/{server.pid}/cmdline").read()
        texts["configuration"] = subprocess.run([server.binary, "config", "--config", server.config], capture_output=True, text=True, check=True,
                                                env={**os.environ, "TRIOXIDE_ROOT_ACCESS_KEY": ROOT_KEYS[0], "TRIOXIDE_ROOT_SECRET_KEY": ROOT_KEYS[1]}).stdout
        assert server.stop() == 0
        texts["log"], texts["audit"] = server.log.read_text(errors="replace"), audit.read_text()
        files = [path for path in server.data.rglob("*") if path.is_file()]
        texts["disks"] = "\n".join(path.read_bytes().decode("latin-1") for path in files)
        yield canaries, texts
    finally:
        server.kill()


def explanation(server, request_id):
    """What `trioxide admin explain` shows."""
    asked = Signer(*ROOT_KEYS).sign(Request("GET", "/admin/v1/explain", f"id={request_id}"), server.admin)
    answer = exchange(server.admin, asked)
    return json.loads(answer.body)["why"] if answer.status == 200 else str(answer)


def use_all(server, canaries):
    """Signs, encrypts and assumes with what is planted. The answers that were refusals."""
    refusals = []
    alice = boto(server.endpoint, keys_of(ALICE))
    alice.create_bucket(Bucket=BUCKET)
    alice.put_object(Bucket=BUCKET, Key="k", Body=b"x")
    iam, sts = (boto(server.endpoint, keys_of(ALICE), service=service) for service in ("iam", "sts"))
    iam.create_user(UserName="canary")
    pair = iam.create_access_key(UserName="canary")["AccessKey"]
    user = pair["AccessKeyId"], canaries.plant("a user's secret", pair["SecretAccessKey"])
    server.admin_command("secret", "revoke", BOB.id)
    made = json.loads(server.admin_command("secret", "create", BOB.id).stdout)
    second = made["access_key"], canaries.plant("a created secret", made["secret_key"])
    account = json.loads(server.admin_command("account", "create", "canary").stdout)
    third = account["access_key"], canaries.plant("a created account's secret", account["secret_key"])
    role = iam.create_role(RoleName="canary", AssumeRolePolicyDocument=json.dumps(TRUST))["Role"]["Arn"]
    sessions = {"a session's": sts.get_session_token(), "a role's": sts.assume_role(RoleArn=role, RoleSessionName="canary")}
    for name, answer in sessions.items():
        canaries.plant(f"{name} secret", answer["Credentials"]["SecretAccessKey"])
        # The beginning may be the same for all.
        canaries.plant(f"{name} token", answer["Credentials"]["SessionToken"][-64:])
    everybody = {"alice": (*keys_of(ALICE), None), "user": (*user, None), "second": (*second, None), "third": (*third, None), "root": (*ROOT_KEYS, None)}
    for name, answer in sessions.items():
        found = answer["Credentials"]
        everybody[name] = (found["AccessKeyId"], found["SecretAccessKey"], found["SessionToken"])
    customers = canaries.plant("a customer's key", os.urandom(32))
    others = canaries.plant("another customer's key", os.urandom(32))

    def send(request):
        answer = exchange(server.endpoint, request)
        if answer.status >= 400:
            refusals.append(answer)
        return answer

    def encryption(key, of="x-amz-server-side-encryption-customer", md5=None):
        text = base64.b64encode(key).decode()
        return [(f"{of}-algorithm", "AES256"), (f"{of}-key", text), (f"{of}-key-md5", md5 or base64.b64encode(hashlib.md5(key).digest()).decode())]

    for access_key, secret, token in everybody.values():
        right, wrong = Signer(access_key, secret), Signer(access_key, secret[:-1] + "~")
        mine = [("x-amz-security-token", token)] if token else []
        in_query = [("X-Amz-Security-Token", token)] if token else []
        for signer in (right, wrong):
            for request in (
                    Request("GET", path_of(BUCKET), headers=list(mine)),
                    Request("GET", path_of(BUCKET, "absent"), headers=list(mine)),
                    Request("PUT", path_of(BUCKET, "secret"), headers=[*mine, *encryption(customers)], body=b"x"),
                    Request("GET", path_of(BUCKET, "secret"), headers=[*mine, *encryption(customers)]),
                    Request("GET", path_of(BUCKET, "secret"), headers=[*mine, *encryption(others)]),
                    Request("GET", path_of(BUCKET, "secret"), headers=[*mine, *encryption(customers, md5="AAAAAAAAAAAAAAAAAAAAAA==")]),
                    Request("PUT", path_of(BUCKET, "copy"), headers=[
                        *mine, ("x-amz-copy-source", path_of(BUCKET, "secret")), *encryption(others),
                        *encryption(customers, of="x-amz-copy-source-server-side-encryption-customer")])):
                send(signer.sign(request, server.endpoint))
            send(signer.presign(Request("GET", path_of(BUCKET, "k")), server.endpoint, extra=in_query))
            # As clients do that move all headers into the URL.
            send(signer.presign(Request("GET", path_of(BUCKET, "secret")), server.endpoint, extra=[*in_query, *encryption(customers)]))
            streamed = Request("PUT", path_of(BUCKET, "streamed"), headers=list(mine))
            send(signer.streaming(streamed, server.endpoint, [b"x"], STREAMING_SIGNED_TRAILER, [("x-amz-checksum-crc32", crc32(b"x"))]))
            by_version_2 = Request("PUT", path_of(BUCKET, "secret"), headers=[*mine, *encryption(customers)], body=b"x")
            send(SignerV2(signer.access_key, signer.secret_key).sign(by_version_2, server.endpoint))
            client = boto(server.endpoint, (signer.access_key, signer.secret_key), token=token, signature_version="s3v4")
            send(request_of(BUCKET, form(client.generate_presigned_post(BUCKET, "posted")["fields"])))
        if token:
            cut = Request("GET", path_of(BUCKET), headers=[("x-amz-security-token", token[:-1])])
            send(right.sign(cut, server.endpoint))
            send(Signer(*keys_of(ALICE)).sign(Request("GET", path_of(BUCKET), headers=list(mine)), server.endpoint))
            send(Signer(*keys_of(ALICE)).presign(Request("GET", path_of(BUCKET)), server.endpoint, extra=in_query))
            # A token beside no signature at all.
            send(Request("GET", path_of(BUCKET), headers=[("Host", "localhost"), *mine]))
        for key in (secret, secret[:-1] + "~"):
            # Most may not, or there are enough keys already.
            with contextlib.suppress(ClientError):
                made = boto(server.endpoint, (access_key, key), service="iam", token=token).create_access_key(UserName="canary")["AccessKey"]
                canaries.plant("a user's second secret", made["SecretAccessKey"])
    web = canaries.plant("a web identity's token", base64.urlsafe_b64encode(os.urandom(48)).decode())
    with pytest.raises(ClientError) as caught:
        boto(server.endpoint, ("none", "none-none"), service="sts").assume_role_with_web_identity(
            RoleArn=role, RoleSessionName="web", WebIdentityToken=f"e30.{web}.{web}")
    assert canaries.found_in(str(caught.value.response)) == []
    iam.update_access_key(UserName="canary", AccessKeyId=user[0], Status="Inactive")
    send(Signer(*user).sign(Request("GET", path_of(BUCKET)), server.endpoint))
    server.admin_command("secret", "revoke", BOB.id)
    send(Signer(*second).sign(Request("GET", path_of(BUCKET)), server.endpoint))
    for keys in (keys_of(ALICE), (ALICE.access_key, ALICE.secret_key[:-1] + "~")):
        server.admin_command("user", "list", keys=keys, check=False)
    return refusals


@pytest.mark.parametrize("place", ["log", "audit", "metrics", "status", "errors", "explanations", "configuration", "command line", "disks"])
def test_no_planted_secret_is_found(planted, place):
    canaries, texts = planted
    assert texts[place], "there is nothing to look through"
    assert canaries.found_in(texts[place]) == []


def test_no_signature_is_written_down(planted):
    """Whoever reads a log must not be able to ask again what was asked."""
    _, texts = planted
    for place in ("log", "audit", "metrics"):
        assert not re.search(r"(?i)signature=[0-9a-f]{64}", texts[place]), place


def test_what_is_looked_through_is_what_was_done(planted):
    canaries, texts = planted
    assert texts["audit"].count(BUCKET) > 60 and texts["audit"].count("SignatureDoesNotMatch") > 20
    assert "SignatureDoesNotMatch" in texts["errors"] and "InvalidToken" in texts["errors"] and "canonical request" in texts["explanations"]
    assert canaries.found_in(f"a line with {ALICE.secret_key} in it") == ["alice's secret"]
    assert len(canaries.secrets) == 15
