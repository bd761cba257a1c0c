"""The S3 secret routes: rotation without a gap, pairs that are brought along, and who may do what."""

import json
from urllib.parse import urlencode

import pytest

from conftest import keys_of, new_name
from harness.clients import boto
from harness.server import ALICE, BOB, ROOT_KEYS
from harness.sigv4 import Signer
from harness.wire import Request, exchange
from support import refused

GIVEN = ("AKIDBROUGHTALONG0001", "Zm9vYmFyYmF6cXV4+/brought/along+secret")
JSON = [("content-type", "application/json")]


@pytest.fixture
def users(new_server, tmp_path):
    server = new_server(config=f'[log]\naudit = "{tmp_path}/audit.json"\n')
    server.start().wait_ready()
    return server


def ask(server, keys, method, path, query="", body=b"", headers=(), **signing):
    request = Request(method, path, query, list(headers), body)
    return exchange(server.admin, Signer(*keys).sign(request, server.admin, **signing))


def made(answer):
    assert answer.status == 200, str(answer)
    shown = json.loads(answer.body)
    return shown["access_key"], shown["secret_key"]


def failed(answer, status, code):
    assert (answer.status, json.loads(answer.body)["code"]) == (status, code), str(answer)


def bring(server, keys, user, pair, query="", **more):
    body = json.dumps({"access_key": pair[0], "secret_key": pair[1]}).encode()
    return ask(server, keys, "PUT", f"/secret/{user}", query, body, JSON, **more)


def works(server, keys):
    boto(server.endpoint, keys).list_buckets()


def ended(server, keys):
    with refused("InvalidAccessKeyId", 403):
        works(server, keys)


def test_a_new_pair_works_beside_the_old_one_until_that_is_revoked(users):
    old = keys_of(BOB)
    failed(ask(users, old, "PUT", "/secret"), 409, "EntityAlreadyExists")
    new = made(ask(users, old, "PUT", "/secret", "rotate"))
    works(users, old)
    works(users, new)
    failed(ask(users, new, "PUT", "/secret", "rotate="), 409, "LimitExceeded")
    assert ask(users, new, "DELETE", "/secret", f"access_key={old[0]}").status == 200
    ended(users, old)
    works(users, new)
    failed(ask(users, new, "DELETE", "/secret", f"access_key={old[0]}"), 404, "NoSuchEntity")
    failed(ask(users, new, "DELETE", "/secret", f"access_key={ALICE.access_key}"), 404, "NoSuchEntity")
    # Nor does what was made by rotation need a first one.
    assert ask(users, new, "DELETE", "/secret").status == 200
    works(users, made(ask(users, ROOT_KEYS, "PUT", f"/secret/{BOB.id}", "rotate")))


def test_parameters_of_another_method_are_refused(users):
    failed(ask(users, keys_of(BOB), "DELETE", "/secret", "rotate"), 400, "InvalidArgument")
    failed(ask(users, keys_of(BOB), "PUT", "/secret", "access_key=X"), 400, "InvalidArgument")
    works(users, keys_of(BOB))


@pytest.mark.parametrize("as_form", [False, True])
def test_an_administrator_brings_a_pair_along(users, as_form):
    failed(bring(users, ROOT_KEYS, BOB.id, GIVEN), 409, "EntityAlreadyExists")
    if as_form:
        body = urlencode({"access_key": GIVEN[0], "secret_key": GIVEN[1]}).encode()
        answer = ask(users, ROOT_KEYS, "PUT", f"/secret/{BOB.id}", "rotate", body, [("content-type", "application/x-www-form-urlencoded")])
    else:
        answer = bring(users, ROOT_KEYS, BOB.id, GIVEN, "rotate")
    assert answer.status == 200, str(answer)
    # Whoever brought it knows it.
    assert json.loads(answer.body) == {"user": BOB.id, "access_key": GIVEN[0]}
    name = new_name()
    boto(users.endpoint, GIVEN).create_bucket(Bucket=name)
    assert boto(users.endpoint, keys_of(BOB)).list_buckets()["Buckets"][-1]["Name"] == name
    assert ask(users, GIVEN, "DELETE", "/secret", f"access_key={GIVEN[0]}").status == 200
    ended(users, GIVEN)
    failed(bring(users, ROOT_KEYS, BOB.id, GIVEN, "rotate"), 409, "EntityAlreadyExists")


def test_nobody_else_brings_one_not_even_their_own(users):
    for keys, path in ((keys_of(BOB), f"/secret/{BOB.id}"), (keys_of(BOB), "/secret"), (keys_of(BOB), f"/secret/{ALICE.id}")):
        body = json.dumps({"access_key": GIVEN[0], "secret_key": GIVEN[1]}).encode()
        failed(ask(users, keys, "PUT", path, "rotate", body, JSON), 403, "AccessDenied")
    # A user of the account has no part in its own pairs.
    iam = boto(users.endpoint, keys_of(BOB), service="iam")
    iam.create_user(UserName="carol")
    iam.attach_user_policy(UserName="carol", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    pair = iam.create_access_key(UserName="carol")["AccessKey"]
    failed(ask(users, (pair["AccessKeyId"], pair["SecretAccessKey"]), "PUT", "/secret", "rotate"), 403, "AccessDenied")
    ended(users, GIVEN)


@pytest.mark.parametrize("pair, status, code", [
    ((ALICE.access_key, GIVEN[1]), 409, "EntityAlreadyExists"),
    (("SHORT", GIVEN[1]), 400, "InvalidArgument"),
    (("AKID/WITH,SIGNS=0001", GIVEN[1]), 400, "InvalidArgument"),
    ((GIVEN[0], "short-secret"), 400, "InvalidArgument"),
    ((GIVEN[0], "ab" * 20), 400, "InvalidArgument"),
    ((GIVEN[0], "x" * 300), 400, "InvalidArgument"),
    ((GIVEN[0], f"{GIVEN[0]}-and-some-more-letters"), 400, "InvalidArgument"),
], ids=["taken", "short id", "signs", "short", "few letters", "long", "holds the id"])
def test_weak_and_taken_pairs_are_refused_without_being_told(users, pair, status, code):
    answer = bring(users, ROOT_KEYS, BOB.id, pair, "rotate")
    failed(answer, status, code)
    assert pair[1].encode() not in answer.body
    works(users, keys_of(ALICE))
    works(users, keys_of(BOB))


@pytest.mark.parametrize("body, headers", [
    (b"{}", JSON), (b"{", JSON), (b'{"access_key": 1, "secret_key": 2}', JSON), (b'{"access_key": "a"}', JSON), (b"[]", JSON),
    (b'{"access_key": "A", "secret_key": "b", "user": "alice"}', JSON), (b"access_key=A&secret_key=b&access_key=C", [("content-type", "application/x-www-form-urlencoded")]),
    (b"access_key=A&secret_key=b", []), (b"<x/>", [("content-type", "application/xml")]),
])
def test_a_body_that_is_no_pair_makes_none(users, body, headers):
    assert ask(users, ROOT_KEYS, "DELETE", f"/secret/{BOB.id}").status == 200
    failed(ask(users, ROOT_KEYS, "PUT", f"/secret/{BOB.id}", body=body, headers=headers), 400, "InvalidArgument")
    failed(ask(users, ROOT_KEYS, "DELETE", f"/secret/{BOB.id}"), 404, "NoSuchEntity")


def test_a_body_under_no_signature_is_not_taken(users):
    failed(bring(users, ROOT_KEYS, BOB.id, GIVEN, "rotate", payload_hash="UNSIGNED-PAYLOAD"), 400, "InvalidArgument")
    failed(ask(users, ROOT_KEYS, "PUT", f"/secret/{BOB.id}", "rotate", b"x" * 10_000, JSON), 413, "EntityTooLarge")
    ended(users, GIVEN)


def test_the_command_line_does_the_same_and_no_secret_is_written_down(users, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text(GIVEN[1] + "\n")
    users.admin_command("secret", "import", BOB.id, GIVEN[0], "--secret-file", str(secret), "--rotate")
    works(users, GIVEN)
    works(users, keys_of(BOB))
    users.admin_command("secret", "revoke", BOB.id, "--key", BOB.access_key)
    ended(users, keys_of(BOB))
    new = json.loads(users.admin_command("secret", "create", "--rotate", keys=GIVEN).stdout)
    works(users, (new["access_key"], new["secret_key"]))
    users.admin_command("secret", "revoke", keys=GIVEN)
    ended(users, GIVEN)
    ended(users, (new["access_key"], new["secret_key"]))
    assert users.stop() == 0
    written = users.log.read_text() + (tmp_path / "audit.json").read_text()
    assert BOB.id in written or "AdminCreateSecret" in written
    for hidden in (GIVEN[1], new["secret_key"]):
        assert hidden not in written
        for path in users.data.rglob("*"):
            assert path.is_dir() or hidden.encode() not in path.read_bytes(), path
