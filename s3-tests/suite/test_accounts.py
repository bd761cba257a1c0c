"""Accounts that are made, changed and ended while the server runs."""

import json

import pytest

from conftest import keys_of, new_name
from harness.clients import boto
from harness.server import ALICE, ROOT_KEYS
from harness.sigv4 import Signer
from harness.wire import Request, exchange
from support import body_of, refused
from test_iam import policy


@pytest.fixture
def account(server):
    """A function that makes one, and answers with its id and its keys."""
    def make(*words):
        id = new_name("account")
        shown = json.loads(server.admin_command("account", "create", id, *words).stdout)
        assert shown["id"] == id and shown["access_keys"] == [shown["access_key"]]
        return id, (shown["access_key"], shown["secret_key"])

    return make


def listed(server, id, keys=ROOT_KEYS):
    accounts = json.loads(server.admin_command("account", "list", keys=keys).stdout)
    return next((account for account in accounts if account["id"] == id), None)


def complaint(server, *words, keys=ROOT_KEYS):
    done = server.admin_command("account", *words, keys=keys, check=False)
    assert done.returncode == 1, done.stdout
    return done.stderr


def test_an_account_works_as_soon_as_it_is_made_and_signs_nothing_when_it_is_gone(server, account):
    id, keys = account("--name", "Made", "--email", f"{new_name()}@example.com")
    client, bucket = boto(server.endpoint, keys), new_name()
    client.create_bucket(Bucket=bucket)
    client.put_object(Bucket=bucket, Key="k", Body=b"x")
    owner = client.list_buckets()["Owner"]
    assert (owner["ID"], owner["DisplayName"]) == (id, "Made")
    number = boto(server.endpoint, keys, service="sts").get_caller_identity()["Account"]
    assert listed(server, id)["account_id"] == number
    token = json.loads(server.admin_command("token", "get", keys=keys).stdout)["Credentials"]
    session = boto(server.endpoint, (token["AccessKeyId"], token["SecretAccessKey"]), token=token["SessionToken"])
    assert body_of(session, bucket, "k") == b"x"
    assert "DeleteConflict" in complaint(server, "delete", id) and "buckets" in complaint(server, "delete", id)
    client.delete_object(Bucket=bucket, Key="k")
    client.delete_bucket(Bucket=bucket)
    # By its number as by its name.
    server.admin_command("account", "delete", number)
    for ended in (client, session):
        with refused("InvalidAccessKeyId", 403):
            ended.list_buckets()
    assert listed(server, id) is None
    assert "NoSuchEntity" in complaint(server, "delete", id)
    # Whoever is called so later is another, but for the name.
    again = json.loads(server.admin_command("account", "create", id, "--without-key").stdout)
    assert (again["account_id"], again["access_keys"], "secret_key" in again) == (number, [], False)
    with refused("InvalidAccessKeyId", 403):
        session.list_buckets()
    server.admin_command("account", "delete", id)


def test_identities_keep_an_account(server, account):
    id, keys = account()
    iam = boto(server.endpoint, keys, service="iam")
    iam.create_user(UserName="carol")
    assert "the account still has users" in complaint(server, "delete", id)
    iam.delete_user(UserName="carol")
    server.admin_command("account", "delete", id)


def test_a_tenant_is_made_and_ended_with_its_volume(server, account):
    volume, bucket = new_name("vol"), new_name()
    id, keys = account("--volume", volume)
    client = boto(server.endpoint, keys)
    client.create_bucket(Bucket=bucket)
    boto(server.endpoint, keys_of(ALICE)).create_bucket(Bucket=bucket)
    assert [found["Name"] for found in client.list_buckets()["Buckets"]] == [bucket]
    assert listed(server, id)["volume"] == volume
    client.delete_bucket(Bucket=bucket)
    server.admin_command("account", "delete", id)
    # Nobody is at home there any more.
    refusal = server.admin_command("acl", "get", volume, check=False)
    assert refusal.returncode == 1 and "NoSuch" in refusal.stderr


def test_what_is_named_changes_and_counts_in_the_next_request(server, account):
    id, keys = account()
    email = f"{new_name()}@example.com"
    server.admin_command("account", "update", id, "--name", "Anew", "--email", email)
    client = boto(server.endpoint, keys)
    assert client.list_buckets()["Owner"]["DisplayName"] == "Anew"
    assert (listed(server, id)["email"], listed(server, id)["admin"]) == (email, False)
    assert "EntityAlreadyExists" in complaint(server, "update", ALICE.id, "--email", email.upper())
    assert "AccessDenied" in complaint(server, "list", keys=keys)
    server.admin_command("account", "update", id, "--admin", "true", "--email", "")
    assert listed(server, id, keys=keys)["email"] is None
    server.admin_command("account", "update", id, "--admin", "false", keys=keys)
    assert "AccessDenied" in complaint(server, "list", keys=keys)
    assert listed(server, id)["display_name"] == "Anew"
    server.admin_command("account", "delete", id)


def test_only_administrators_keep_accounts(server, account):
    id, _ = account()
    for words in (["create", new_name("account")], ["update", id, "--name", "x"], ["update", ALICE.id, "--admin", "true"], ["delete", id],
                  ["delete", "nobody-of-this-name"], ["list"]):
        assert "AccessDenied" in complaint(server, *words, keys=keys_of(ALICE)), words
    server.admin_command("account", "delete", id)


def test_who_may_keep_accounts_does_not_make_administrators(server, account):
    id, _ = account()
    chief, _ = account("--admin")
    iam, name = boto(server.endpoint, ROOT_KEYS, service="iam"), new_name("keeper")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=policy(["trioxide:CreateAccount", "trioxide:UpdateAccount", "trioxide:DeleteAccount"]))
    pair = iam.create_access_key(UserName=name)["AccessKey"]
    keeper = pair["AccessKeyId"], pair["SecretAccessKey"]
    for words in (["create", new_name("account"), "--admin"], ["update", id, "--admin", "true"], ["update", chief, "--admin", "false"],
                  ["update", chief, "--name", "x"], ["delete", chief]):
        assert "AccessDenied" in complaint(server, *words, keys=keeper), words
    server.admin_command("account", "update", id, "--name", "Kept", keys=keeper)
    made = new_name("account")
    server.admin_command("account", "create", made, keys=keeper)
    for gone in (made, id):
        server.admin_command("account", "delete", gone, keys=keeper)
    server.admin_command("account", "delete", chief)


def test_somebody_goes_on_administering(new_server):
    server = new_server().start().wait_ready()
    root = next(account["id"] for account in json.loads(server.admin_command("account", "list").stdout) if account["admin"])
    for words in (["delete", root], ["update", root, "--admin", "false"]):
        assert "nobody else who has a key administers the cluster" in complaint(server, *words)
    # One without a key is nobody who could.
    server.admin_command("account", "create", "chief", "--admin", "--without-key")
    assert "nobody else" in complaint(server, "delete", root)
    server.admin_command("secret", "create", "chief")
    server.admin_command("account", "update", root, "--admin", "false")
    assert "AccessDenied" in complaint(server, "list")


def test_what_was_made_outlives_a_restart_and_the_file_brings_back_what_it_names(new_server):
    server = new_server().start().wait_ready()
    shown = json.loads(server.admin_command("account", "create", "made", "--volume", "made").stdout)
    made = shown["access_key"], shown["secret_key"]
    boto(server.endpoint, made).create_bucket(Bucket="data")
    server.admin_command("account", "delete", ALICE.id)
    assert server.stop() == 0
    server.start().wait_ready()
    assert [found["Name"] for found in boto(server.endpoint, made).list_buckets()["Buckets"]] == ["data"]
    # The account is back, as the file says; its pair, which ended, is not.
    assert listed(server, ALICE.id)["access_keys"] == []
    with refused("InvalidAccessKeyId", 403):
        boto(server.endpoint, keys_of(ALICE)).list_buckets()


@pytest.mark.parametrize("words, code", [
    (["create", ALICE.id], "EntityAlreadyExists"), (["create", "123456789012"], "InvalidArgument"), (["create", "two words"], "InvalidArgument"),
    (["create", "x" * 256], "InvalidArgument"), (["create", "new", "--volume", "Not A Volume"], "InvalidArgument"),
    (["create", "new", "--volume", "123456789012"], "InvalidArgument"), (["create", "new", "--email", "nobody"], "InvalidArgument"),
    (["update", ALICE.id, "--name", ""], "InvalidArgument"), (["update", "nobody", "--name", "x"], "NoSuchEntity"), (["delete", "nobody"], "NoSuchEntity")])
def test_what_cannot_be_is_refused(server, words, code):
    assert code in complaint(server, *words)
    assert listed(server, "new") is None


@pytest.mark.parametrize("method, query, status", [
    ("GET", "id=x", 400), ("PUT", "", 400), ("PUT", "id=x&surname=y", 400), ("POST", "id=x&volume=v", 400), ("DELETE", "id=x&admin=true", 400), ("PATCH", "id=x", 405)])
def test_parameters_are_those_of_the_method(server, method, query, status):
    request = Request(method, "/admin/v1/accounts", query)
    assert exchange(server.admin, Signer(*ROOT_KEYS).sign(request, server.admin)).status == status
