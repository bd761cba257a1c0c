"""Identities that `trioxide.toml` names: there after the start, changed with the file, and nothing else touched."""

import json
import pathlib
import re

import pytest

from conftest import keys_of
from harness.clients import boto
from harness.server import ALICE, ROOT_KEYS, wait_until
from support import refused

DOCS = pathlib.Path(__file__).parents[2] / "docs/identity.md"
CAROL = ("CAROLACCESSKEY000001", "carols-secret-1")


def policy(action, resource="*"):
    return json.dumps({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": action, "Resource": resource}]})


def secret(path, text):
    path.write_text(text + "\n")
    path.chmod(0o600)


@pytest.fixture
def documented(new_server):
    """A server with the example of the documentation."""
    example = re.search(r"## In the configuration.*?```toml\n(.*?)```", DOCS.read_text(), re.DOTALL).group(1)
    server = new_server(config=example, users=(), env={"CAROL_SECRET": CAROL[1]})
    secret(server.config.parent / "ada.secret", "adas-secret-1")
    (server.config.parent / "uploads.json").write_text(policy("s3:PutObject", "arn:aws:s3:::photos/*"))
    server.start().wait_ready()
    return server


def test_the_documented_example_is_as_it_is_said(documented):
    ada = ("ADAACCESSKEY00000001", "adas-secret-1")
    s3, iam = boto(documented.endpoint, ada), boto(documented.endpoint, ada, service="iam")
    s3.create_bucket(Bucket="photos")
    s3.create_bucket(Bucket="other")
    carols = boto(documented.endpoint, CAROL)
    carols.put_object(Bucket="photos", Key="k", Body=b"x")
    assert carols.get_object(Bucket="photos", Key="k")["Body"].read() == b"x"
    for call in (lambda: carols.put_object(Bucket="other", Key="k"), lambda: carols.delete_object(Bucket="photos", Key="k")):
        with refused("AccessDenied", 403):
            call()
    assert [user["UserName"] for user in iam.get_group(GroupName="staff")["Users"]] == ["carol"]
    role = iam.get_role(RoleName="backup")["Role"]
    assert role["MaxSessionDuration"] == 7200
    assert boto(documented.endpoint, CAROL, service="sts").get_caller_identity()["Arn"].endswith(":user/carol")


CONFIG = """
[[iam.policy]]
account = "{account}"
name = "one"
document = '{document}'

[[iam.group]]
account = "{account}"
name = "staff"
policies = ["one"]

[[iam.user]]
account = "{account}"
name = "carol"
groups = ["staff"]
access_key = "{key}"
secret_key = "{secret}"
"""


def config(document=policy("s3:ListAllMyBuckets"), key=CAROL[0], secret=CAROL[1]):
    return CONFIG.format(account=ALICE.id, document=document, key=key, secret=secret)


def restart(server, text):
    assert server.stop() == 0
    server.config.write_text(text + "\n" + ALICE.toml())
    server.start().wait_ready()


def test_a_start_follows_the_file_and_leaves_alone_what_it_does_not_name(new_server):
    server = new_server(config=config(), users=(ALICE,))
    server.start().wait_ready()
    iam = boto(server.endpoint, keys_of(ALICE), service="iam")
    boto(server.endpoint, CAROL).list_buckets()
    arn = iam.list_policies(Scope="Local")["Policies"][0]["Arn"]
    # By hand, beside it.
    iam.create_user(UserName="dora")
    iam.attach_user_policy(UserName="carol", PolicyArn="arn:aws:iam::aws:policy/AmazonS3ReadOnlyAccess")
    own = iam.create_access_key(UserName="carol")["AccessKey"]["AccessKeyId"]

    restart(server, config())
    assert len(iam.list_policy_versions(PolicyArn=arn)["Versions"]) == 1, "a start that finds all as it is to be changes nothing"

    restart(server, config(document=policy("s3:CreateBucket"), key="CAROLACCESSKEY000002"))
    shown = iam.get_policy_version(PolicyArn=arn, VersionId="v2")["PolicyVersion"]
    assert shown["IsDefaultVersion"] and shown["Document"]["Statement"][0]["Action"] == "s3:CreateBucket"
    keys = {key["AccessKeyId"] for key in iam.list_access_keys(UserName="carol")["AccessKeyMetadata"]}
    assert keys == {own, "CAROLACCESSKEY000002"}
    boto(server.endpoint, ("CAROLACCESSKEY000002", CAROL[1])).create_bucket(Bucket="made")
    with refused("InvalidAccessKeyId", 403):
        boto(server.endpoint, CAROL).list_buckets()

    # The file of before does not bring back the pair that was replaced, nor end the one that replaced it.
    restart(server, config())
    boto(server.endpoint, ("CAROLACCESSKEY000002", CAROL[1])).head_bucket(Bucket="made")
    with refused("InvalidAccessKeyId", 403):
        boto(server.endpoint, CAROL).list_buckets()

    # The file names nothing any more; a pair that was revoked does not come back with it.
    iam.delete_access_key(UserName="carol", AccessKeyId="CAROLACCESSKEY000002")
    restart(server, "")
    assert {user["UserName"] for user in iam.list_users()["Users"]} == {"carol", "dora"}
    attached = iam.list_attached_user_policies(UserName="carol")["AttachedPolicies"]
    assert [policy["PolicyName"] for policy in attached] == ["AmazonS3ReadOnlyAccess"]
    restart(server, config(key="CAROLACCESSKEY000002"))
    assert [key["AccessKeyId"] for key in iam.list_access_keys(UserName="carol")["AccessKeyMetadata"]] == [own]


OTHERS = """
[[bucket]]
name = "made-besides"
owner = "{account}"

[[bucket]]
name = "taken-before"

[[iam.user]]
account = "{account}"
name = "dora"
policies = ["AmazonS3ReadOnlyAccess"]

[[iam.user]]
account = "{account}"
name = "erik"
groups = ["nobody"]
"""


def problems(server):
    return json.loads(server.admin_command("status").stdout)["problems"]


def test_what_an_account_did_to_its_own_keeps_no_store_from_starting(new_server):
    server = new_server(config=config(), users=(ALICE,))
    server.start().wait_ready()
    iam = boto(server.endpoint, keys_of(ALICE), service="iam")
    boto(server.endpoint, keys_of(ALICE)).create_bucket(Bucket="taken-before")
    # There is no room for what the file says from now on: not for carol's key, and not for a policy of the group.
    iam.delete_access_key(UserName="carol", AccessKeyId=CAROL[0])
    own = [iam.create_access_key(UserName="carol")["AccessKey"]["AccessKeyId"] for _ in range(2)]
    arn = iam.list_policies(Scope="Local")["Policies"][0]["Arn"]
    iam.detach_group_policy(GroupName="staff", PolicyArn=arn)
    document = policy("s3:ListAllMyBuckets")
    for number in range(20):
        full = iam.create_policy(PolicyName=f"full-{number}", PolicyDocument=document)["Policy"]["Arn"]
        iam.attach_group_policy(GroupName="staff", PolicyArn=full)

    restart(server, config(key="CAROLACCESSKEY000003") + OTHERS.format(account=ALICE.id))
    log = server.log.read_text().replace("\\", "")
    for told in ('group "staff": Cannot exceed quota', 'user "carol": access key CAROLACCESSKEY000003: Cannot exceed quota',
                 'user "erik": The group with name nobody cannot be found', 'bucket "taken-before"'):
        assert told in log, server.log_tail(20)
        assert [problem for problem in problems(server) if told in problem], problems(server)
    assert len(problems(server)) == 4 and ALICE.id in problems(server)[0], problems(server)
    attached = iam.list_attached_user_policies(UserName="dora")["AttachedPolicies"]
    assert [policy["PolicyName"] for policy in attached] == ["AmazonS3ReadOnlyAccess"]
    boto(server.endpoint, keys_of(ALICE)).head_bucket(Bucket="made-besides")

    # It is made as soon as it can be, without another start; what was made already is nobody's to bring back.
    iam.detach_user_policy(UserName="dora", PolicyArn=attached[0]["PolicyArn"])
    iam.detach_group_policy(GroupName="staff", PolicyArn=full)
    iam.delete_access_key(UserName="carol", AccessKeyId=own[0])
    iam.create_group(GroupName="nobody")
    boto(server.endpoint, keys_of(ALICE)).delete_bucket(Bucket="taken-before")

    def is_made():
        keys = {key["AccessKeyId"] for key in iam.list_access_keys(UserName="carol")["AccessKeyMetadata"]}
        policies = {policy["PolicyArn"] for policy in iam.list_attached_group_policies(GroupName="staff")["AttachedPolicies"]}
        return "CAROLACCESSKEY000003" in keys and arn in policies
    wait_until(is_made, 60, "the rest of the file")
    assert iam.list_attached_user_policies(UserName="dora")["AttachedPolicies"] == []
    wait_until(lambda: problems(server) == [], 60, "nothing is left")
    assert iam.get_user(UserName="erik") and boto(server.endpoint, ROOT_KEYS).head_bucket(Bucket="taken-before")


def test_what_names_an_account_that_is_not_there_waits_for_it(new_server):
    names = '[[iam.group]]\naccount = "late"\nname = "staff"\n\n[[bucket]]\nname = "of-the-late"\nowner = "late"\n'
    server = new_server(config=names, users=())
    server.start().wait_ready()
    told = [problem.removeprefix("the configuration names what could not be made: ") for problem in problems(server)]
    assert sorted(told) == ['bucket "of-the-late": there is no account late, which is to own it', "iam, of account late: there is no such account"]
    made = json.loads(server.admin_command("account", "create", "late").stdout)
    late = made["access_key"], made["secret_key"]
    wait_until(lambda: problems(server) == [], 60, "nothing is left")
    assert boto(server.endpoint, late, service="iam").get_group(GroupName="staff")
    boto(server.endpoint, late).head_bucket(Bucket="of-the-late")


@pytest.mark.parametrize("text, told", [
    ('[[iam.policy]]\nname = "one"\ndocument = "{}"', 'policy "one": document'),
    ('[[iam.role]]\nname = "r"\ntrust = "nowhere.json"', 'iam.role "r": trust: reading nowhere.json'),
    ('[[iam.user]]\nname = "c"\naccess_key = "CKEY"\nsecret_key_file = "open.secret"', 'iam.user "c": secret_key_file: reading open.secret'),
    ('[[iam.user]]\nname = "c"\naccess_key = "CKEY"\nsecret_key_env = "NO_SUCH"', 'iam.user "c": secret_key_env: there is no variable NO_SUCH'),
])
def test_what_cannot_be_is_told_by_its_name_and_stops_the_start(new_server, text, told):
    server = new_server(config=text, users=())
    (server.config.parent / "open.secret").write_text("readable-by-all")
    (server.config.parent / "open.secret").chmod(0o644)
    server.start()
    wait_until(lambda: not server.alive(), 60, "the start is given up")
    assert server.stop() != 0
    assert told in server.log.read_text(), server.log_tail(10)
