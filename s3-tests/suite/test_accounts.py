"""Accounts that are made, changed and ended while the server runs."""

import json
import re

import pytest

from conftest import keys_of, new_name
from harness.clients import boto
from harness.server import ALICE, ROOT_KEYS
from harness.sigv4 import Signer
from harness.wire import Request, exchange
from support import body_of, refused


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


def keeper(*actions, more=()):
    """Keys of a user of the root account who may do these."""
    def make(server):
        iam, name = boto(server.endpoint, ROOT_KEYS, service="iam"), new_name("keeper")
        iam.create_user(UserName=name)
        statements = [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}, *more]
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": statements}))
        pair = iam.create_access_key(UserName=name)["AccessKey"]
        return pair["AccessKeyId"], pair["SecretAccessKey"]

    return make


def test_an_administrator_s_user_keeps_accounts_where_policies_let_them_administer(server, account):
    id, _ = account()
    may, may_not = keeper("trioxide:Administer")(server), keeper("trioxide:ListUsers", "trioxide:CreateSecret", "s3:*")(server)
    made = new_name("account")
    for words in (["create", made], ["update", id, "--name", "Kept"], ["delete", id]):
        assert "AccessDenied" in complaint(server, *words, keys=may_not), words
    assert listed(server, id, keys=may_not)
    server.admin_command("account", "update", id, "--name", "Kept", keys=may)
    server.admin_command("account", "create", made, keys=may)
    for gone in (made, id):
        server.admin_command("account", "delete", gone, keys=may)


def test_conditions_on_the_request_count_for_administrators_too(server):
    here = {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}
    shut_out = keeper("trioxide:*", more=[{"Effect": "Deny", "Action": "*", "Resource": "*", "Condition": here}])(server)
    done = server.admin_command("account", "create", new_name("account"), keys=shut_out, check=False)
    assert done.returncode == 1 and "AccessDenied" in done.stderr
    let_in = keeper("s3:ListAllMyBuckets", more=[{"Effect": "Allow", "Action": "trioxide:Administer", "Resource": "*", "Condition": here}])(server)
    id = new_name("account")
    server.admin_command("account", "create", id, keys=let_in)
    server.admin_command("account", "delete", id, keys=let_in)


def test_who_makes_secrets_makes_none_of_an_administrator(server, account):
    (id, _), (chief, _) = account(), account("--admin")
    keys = keeper("trioxide:CreateSecret", "trioxide:ImportSecret", "trioxide:RevokeSecret")(server)
    for words in (["create", "--rotate", chief], ["revoke", chief]):
        done = server.admin_command("secret", *words, keys=keys, check=False)
        assert done.returncode == 1 and "AccessDenied" in done.stderr, words
    server.admin_command("secret", "create", "--rotate", id, keys=keys)
    for gone in (id, chief):
        server.admin_command("account", "delete", gone)


def test_the_audit_says_which_account_it_was(new_server, tmp_path):
    audit = tmp_path / "audit.json"
    server = new_server(config=f'[log]\naudit = "{audit}"\n').start().wait_ready()
    secret = json.loads(server.admin_command("account", "create", "named", "--admin").stdout)["secret_key"]
    server.admin_command("account", "delete", "named")
    assert server.stop() == 0
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    asked = {line["operation"]: line.get("query") for line in lines}
    assert (asked["AdminCreateAccount"], asked["AdminDeleteAccount"]) == ("id=named&admin=true", "id=named")
    assert secret not in audit.read_text()


def test_a_demoted_administrator_of_before_is_none_for_the_next_start(new_server):
    """The file says that Alice is no administrator; when all others are gone, the start makes a root once more."""
    server = new_server(users=(ALICE,))
    server.env = {}
    server.start().wait_ready()
    shown = re.findall(r"^ *export AWS_\w+=(\S+)$", server.log.read_text(), re.MULTILINE)
    root = tuple(shown[:2])
    server.admin_command("account", "update", ALICE.id, "--admin", "true", keys=root)
    server.admin_command("account", "delete", "root", keys=keys_of(ALICE))
    assert server.stop() == 0
    server.start().wait_ready()
    again = tuple(re.findall(r"^ *export AWS_\w+=(\S+)$", server.log.read_text(), re.MULTILINE)[-2:])
    assert again != root and listed(server, "root", keys=again)["admin"] and not listed(server, ALICE.id, keys=again)["admin"]


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
    (["create", "x" * 256], "InvalidArgument"), (["create", "a/b"], "InvalidArgument"), (["create", "*"], "InvalidArgument"), (["create", "Anonymous"], "InvalidArgument"),
     (["create", "new", "--volume", "Not A Volume"], "InvalidArgument"),
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
