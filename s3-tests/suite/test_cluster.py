"""A cluster of processes: it forms by itself, refuses strangers, and survives the loss of any one process."""

import json
import os
import signal
import socket
import ssl
import subprocess
import threading

import pytest
from botocore.exceptions import BotoCoreError, ClientError

from cluster import Cluster
from conftest import new_name
from drills import catchup, failover
from harness.clients import boto
from harness.server import binary, http_get, wait_until
from harness.sigv4 import Signer
from harness.wire import Request, exchange
from support import refused

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1200), pytest.mark.xdist_group("cluster")]

# A datanode is declared dead soon, so that tests see the repair.
SOON = '[scm]\nheartbeat = "500ms"\nstale_after = "3s"\ndead_after = "8s"\n'

# A class of one copy, and days that end soon.
CLASSES = '[om]\nlifecycle_day = "2s"\nmove_small_objects = true\n\n[storage_classes]\nONEZONE_IA = "one"\n'

# An account whose buckets lie in a volume of its own.
RED = ("AKIDREDCLUSTER000001", "red/secret+0123456789abcdef0123456789")
TENANT = f'\n[[user]]\nid = "red-id"\nvolume = "red"\naccess_key = "{RED[0]}"\nsecret_key = "{RED[1]}"\n'


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    cluster = Cluster(tmp_path_factory.mktemp("cluster"), binary())
    cluster.create(free_ports=True, extra=CLASSES + TENANT)
    try:
        cluster.start().wait_ready(timeout=180).wait_writable()
        yield cluster
    finally:
        for name in cluster.names():
            cluster.process(name).kill()


def test_objects_are_moved_to_blocks_of_another_kind_and_back_none_is_lost(cluster):
    one, two = (boto(url, cluster.keys, retries=8) for url in cluster.s3_urls())
    one.create_bucket(Bucket="shelf")
    bodies = {f"{size}": os.urandom(size) for size in (0, 1, 70_000, 20 << 20)}
    for key, body in bodies.items():
        one.put_object(Bucket="shelf", Key=key, Body=body, ServerSideEncryption="AES256")
    one.put_object(Bucket="shelf", Key="at once", Body=b"x" * 70_000, StorageClass="ONEZONE_IA")
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Transitions": [{"Days": 1, "StorageClass": "ONEZONE_IA"}]}
    one.put_bucket_lifecycle_configuration(Bucket="shelf", LifecycleConfiguration={"Rules": [rule]})

    def classes():
        return {entry["StorageClass"] for entry in two.list_objects_v2(Bucket="shelf")["Contents"]}
    wait_until(lambda: classes() == {"ONEZONE_IA"}, 120, "all have moved")
    for key, body in bodies.items():
        assert two.get_object(Bucket="shelf", Key=key)["Body"].read() == body
    # What is kept in one copy is not shared with what is kept in three: it is read and written.
    one.copy_object(Bucket="shelf", Key="back", CopySource={"Bucket": "shelf", "Key": "70000"})
    back = two.get_object(Bucket="shelf", Key="back")
    assert (back.get("StorageClass"), back["Body"].read()) == (None, bodies["70000"])
    copies = {len(pipeline["members"]) for pipeline in cluster.admin("scm", "pipelines")}
    assert copies == {1, 3}


def test_no_object_is_lost_or_left_behind_when_processes_die_while_objects_move(cluster):
    gateway, leader = cluster.names("gateway")[1], cluster.wait_leader("om")
    one = boto(cluster.s3_urls()[0], cluster.keys, retries=10)
    one.create_bucket(Bucket="movers")
    bodies = {f"{n:02}": os.urandom(2 << 20) for n in range(30)}
    for key, body in bodies.items():
        one.put_object(Bucket="movers", Key=key, Body=body)
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Transitions": [{"Days": 1, "StorageClass": "ONEZONE_IA"}]}
    one.put_bucket_lifecycle_configuration(Bucket="movers", LifecycleConfiguration={"Rules": [rule]})

    def moved():
        return sum(entry["StorageClass"] == "ONEZONE_IA" for entry in one.list_objects_v2(Bucket="movers")["Contents"])
    wait_until(lambda: moved() > 0, 60, "the first has moved")
    cluster.process(gateway).kill()
    cluster.process(leader).kill()
    cluster.wait_leader("om", other_than=leader)
    cluster.start(gateway, leader).wait_ready(gateway, leader, timeout=120)
    for key, body in bodies.items():
        assert one.get_object(Bucket="movers", Key=key)["Body"].read() == body
    wait_until(lambda: moved() == len(bodies), 180, "all have moved")
    for key, body in bodies.items():
        assert one.get_object(Bucket="movers", Key=key)["Body"].read() == body


def test_what_one_gateway_wrote_the_other_reads_at_once(cluster):
    one, two = (boto(url, cluster.keys, retries=4) for url in cluster.s3_urls())
    one.create_bucket(Bucket="shared")
    for size in (0, 100, 70_000, 6 << 20):
        body = os.urandom(size)
        one.put_object(Bucket="shared", Key="k", Body=body)
        assert two.get_object(Bucket="shared", Key="k")["Body"].read() == body
        two.delete_object(Bucket="shared", Key="k")
        assert one.list_objects_v2(Bucket="shared")["KeyCount"] == 0


def test_administration_shows_every_member(cluster):
    for role in ("om", "scm"):
        roles = cluster.admin(role, "roles")
        assert sorted(cluster.named(member["endpoint"]) for member in roles["members"]) == sorted(cluster.names(role))
        assert sorted(member["role"] for member in roles["members"]) == ["follower", "follower", "leader"]
    datanodes = cluster.admin("datanode", "list")
    assert sorted((node["name"], node["state"]) for node in datanodes) == [(name, "healthy") for name in cluster.names("datanode")]
    # What a process that was killed left half done is being mended.
    wait_until(lambda: cluster.admin("status")["problems"] == [], 60, "nothing is wrong")


def test_a_healthy_start_warns_of_nothing_that_waits(cluster):
    """Processes that start beside each other wait for each other; a log that warns of it hides what matters."""
    lines = [line for log in (cluster.folder / "logs").iterdir() for line in log.read_text(errors="replace").splitlines()]
    assert len(lines) > 50 and not [line for line in lines if "WARN" in line and "enrol" in line]


def test_leadership_can_be_handed_over(cluster):
    before = cluster.wait_leader("om")
    cluster.admin("om", "transfer")
    assert cluster.wait_leader("om", other_than=before) != before
    boto(cluster.s3_urls()[0], cluster.keys, retries=8).list_buckets()


def test_a_tenant_s_names_are_its_own_at_every_gateway_and_under_every_leader(cluster):
    urls = cluster.s3_urls()
    everybodys, reds = ([boto(url, keys, retries=8) for url in urls] for keys in (cluster.keys, RED))
    for clients, body in ((everybodys, b"of s3v"), (reds, b"of red")):
        clients[0].create_bucket(Bucket="twice-named")
        clients[1].put_object(Bucket="twice-named", Key="k", Body=body)
    before = cluster.wait_leader("om")
    cluster.admin("om", "transfer")
    cluster.wait_leader("om", other_than=before)
    for s3 in everybodys:
        assert s3.get_object(Bucket="twice-named", Key="k")["Body"].read() == b"of s3v"
    for s3 in reds:
        assert s3.get_object(Bucket="twice-named", Key="k")["Body"].read() == b"of red"
        assert [bucket["Name"] for bucket in s3.list_buckets()["Buckets"]] == ["twice-named"]


def test_what_is_encrypted_opens_through_every_gateway_and_under_every_leader(cluster):
    one, two = (boto(url, cluster.keys, retries=8) for url in cluster.s3_urls())
    cluster.admin("kms", "create", "cluster/key")
    one.create_bucket(Bucket="sealed")
    body = os.urandom(300_000)
    modes = {"store": {"ServerSideEncryption": "AES256"}, "kms": {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": "cluster/key"}}
    for key, asked in modes.items():
        one.put_object(Bucket="sealed", Key=key, Body=body, **asked)
    before = cluster.wait_leader("om")
    for _ in range(2):
        for key in modes:
            assert two.get_object(Bucket="sealed", Key=key)["Body"].read() == body
            assert one.get_object(Bucket="sealed", Key=key, Range="bytes=65530-65540")["Body"].read() == body[65530:65541]
        if cluster.wait_leader("om") == before:
            cluster.admin("om", "transfer")
            cluster.wait_leader("om", other_than=before)


def test_internal_ports_answer_nobody_without_a_certificate(cluster):
    for name in cluster.names():
        for what in ("rpc", "data"):
            try:
                port = cluster.port(name, what)
            except KeyError:
                continue
            with socket.create_connection(("127.0.0.1", port), timeout=10) as plain:
                plain.sendall(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n")
                try:
                    # A TLS alert (21) and nothing else, or nothing at all.
                    answer = plain.recv(1000)
                    assert answer == b"" or answer[0] == 21 and len(answer) <= 7, (name, what, answer)
                except ConnectionResetError:
                    pass
            stranger = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            stranger.check_hostname, stranger.verify_mode = False, ssl.CERT_NONE
            with pytest.raises((ssl.SSLError, OSError)):
                with socket.create_connection(("127.0.0.1", port), timeout=10) as raw:
                    with stranger.wrap_socket(raw) as tls:
                        tls.sendall(b"x" * 100)
                        # TLS 1.3 tells the missing certificate with the first read.
                        if tls.recv(100) == b"":
                            raise OSError("closed")


# --- what is taken away is gone everywhere ---

class Identities:
    """A user, and a role that the user may take, made through one gateway and used through the other.

    `patience` is how often the other gateway may say that it cannot tell yet; it must never say that all is as it was.
    """

    def __init__(self, cluster, patience=0):
        self.cluster = cluster
        self.one, self.two = cluster.s3_urls()
        self.keys = cluster.keys
        self.iam = boto(self.one, self.keys, service="iam", read_timeout=10)
        self.name, self.role, self.bucket = new_name("user"), new_name("role"), new_name()
        user = self.iam.create_user(UserName=self.name)["User"]
        pair = self.iam.create_access_key(UserName=self.name)["AccessKey"]
        self.pair = pair["AccessKeyId"], pair["SecretAccessKey"]
        self.iam.put_user_policy(UserName=self.name, PolicyName="all", PolicyDocument=document("Allow", "s3:*"))
        trust = document("Allow", "sts:AssumeRole", Principal={"AWS": user["Arn"]})
        arn = self.iam.create_role(RoleName=self.role, AssumeRolePolicyDocument=trust)["Role"]["Arn"]
        self.iam.put_role_policy(RoleName=self.role, PolicyName="all", PolicyDocument=document("Allow", "s3:*"))
        session = boto(self.one, self.pair, service="sts").assume_role(RoleArn=arn, RoleSessionName="work")["Credentials"]
        boto(self.one, self.keys).create_bucket(Bucket=self.bucket)
        words = {"retries": patience, "signature_version": "s3v4"}
        self.users = boto(self.two, self.pair, **words)
        self.sessions = boto(self.two, (session["AccessKeyId"], session["SecretAccessKey"]), token=session["SessionToken"], **words)

        made = cluster.admin("token", "get")["Credentials"]
        self.token = made["AccessKeyId"]
        self.tokens = boto(self.two, (self.token, made["SecretAccessKey"]), token=made["SessionToken"], **words)

    def use(self):
        """So that the other gateway has seen, and kept, all that it keeps."""
        for client in (self.users, self.sessions, self.tokens):
            client.put_object(Bucket=self.bucket, Key="k", Body=b"x")
            client.get_object(Bucket=self.bucket, Key="k")["Body"].read()

    def all_fail(self, client, code):
        """The very next request, and each one after it: reads and writes, and a URL that was presigned."""
        for call in (lambda: client.get_object(Bucket=self.bucket, Key="k"), lambda: client.put_object(Bucket=self.bucket, Key="k", Body=b"y"),
                     lambda: client.list_objects_v2(Bucket=self.bucket), lambda: client.list_buckets(),
                     lambda: client.delete_object(Bucket=self.bucket, Key="k")):
            with refused(code, 403):
                call()
        status, body = http_get(client.generate_presigned_url("get_object", {"Bucket": self.bucket, "Key": "k"}), timeout=30)
        assert status == 403, body


def document(effect, action, **more):
    statement = {"Effect": effect, "Action": action, **({} if "Principal" in more else {"Resource": "*"}), **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def as_soon_as_it_answers(call):
    """Until somebody leads again. What an answer was lost of may have been done already."""
    tried = 0

    def done():
        nonlocal tried
        tried += 1
        try:
            call()
        except ClientError as error:
            code, status = error.response["Error"]["Code"], error.response["ResponseMetadata"]["HTTPStatusCode"]
            if status < 500 and not (code == "NoSuchEntity" and tried > 1):
                raise
            return code == "NoSuchEntity"
        except BotoCoreError:
            return False
        return True
    wait_until(done, 60, "somebody leads")


def disable_key(they, between=lambda: None):
    as_soon_as_it_answers(lambda: they.iam.update_access_key(UserName=they.name, AccessKeyId=they.pair[0], Status="Inactive"))
    between()
    they.all_fail(they.users, "InvalidAccessKeyId")


def delete_key(they, between=lambda: None):
    as_soon_as_it_answers(lambda: they.iam.delete_access_key(UserName=they.name, AccessKeyId=they.pair[0]))
    between()
    they.all_fail(they.users, "InvalidAccessKeyId")


def change_policy(they, between=lambda: None):
    as_soon_as_it_answers(lambda: they.iam.put_user_policy(UserName=they.name, PolicyName="all", PolicyDocument=document("Deny", "s3:*")))
    between()
    they.all_fail(they.users, "AccessDenied")


def take_policy_from_role(they, between=lambda: None):
    as_soon_as_it_answers(lambda: they.iam.delete_role_policy(RoleName=they.role, PolicyName="all"))
    between()
    they.all_fail(they.sessions, "AccessDenied")


def end_role(they, between=lambda: None):
    as_soon_as_it_answers(lambda: they.iam.delete_role_policy(RoleName=they.role, PolicyName="all"))
    as_soon_as_it_answers(lambda: they.iam.delete_role(RoleName=they.role))
    between()
    they.all_fail(they.sessions, "InvalidAccessKeyId")


def cancel_token(they, between=lambda: None):
    def is_cancelled():
        try:
            they.cluster.admin("token", "cancel", they.token)
        except subprocess.CalledProcessError as error:
            return "NoSuchEntity" in error.stderr
        return True
    wait_until(is_cancelled, 60, "somebody leads")
    between()
    they.all_fail(they.tokens, "InvalidAccessKeyId")


@pytest.mark.parametrize("revoke", [disable_key, delete_key, change_policy, take_policy_from_role, end_role, cancel_token], ids=lambda revoke: revoke.__name__)
def test_what_one_gateway_takes_away_fails_at_the_others_very_next_request(cluster, revoke):
    they = Identities(cluster)
    they.use()
    revoke(they)


def test_a_key_goes_off_and_on_with_the_next_request_as_often_as_one_likes(cluster):
    they = Identities(cluster)
    they.use()
    for _ in range(20):
        they.iam.update_access_key(UserName=they.name, AccessKeyId=they.pair[0], Status="Inactive")
        with refused("InvalidAccessKeyId", 403):
            they.users.get_object(Bucket=they.bucket, Key="k")
        they.iam.update_access_key(UserName=they.name, AccessKeyId=they.pair[0], Status="Active")
        they.users.get_object(Bucket=they.bucket, Key="k")


def test_a_bucket_policy_counts_in_the_next_request_on_every_gateway(cluster):
    they = Identities(cluster)
    owner = boto(they.one, they.keys, retries=8)
    they.use()
    for _ in range(10):
        denial = document("Deny", "s3:GetObject", Principal="*", Resource=f"arn:aws:s3:::{they.bucket}/*")
        owner.put_bucket_policy(Bucket=they.bucket, Policy=denial)
        with refused("AccessDenied", 403):
            they.users.get_object(Bucket=they.bucket, Key="k")
        owner.delete_bucket_policy(Bucket=they.bucket)
        they.users.get_object(Bucket=they.bucket, Key="k")


def test_an_account_s_block_counts_in_the_next_request_on_every_gateway(cluster):
    one, two = cluster.s3_urls()
    owner, bucket = boto(one, cluster.keys, retries=8), new_name()
    account = boto(one, cluster.keys, service="sts").get_caller_identity()["Account"]
    owner.create_bucket(Bucket=bucket)
    owner.put_object(Bucket=bucket, Key="k", Body=b"x", ACL="public-read")

    def block(method, body=b""):
        request = Request(method, "/v20180820/configuration/publicAccessBlock", headers=[("x-amz-account-id", account)], body=body)
        answer = exchange(one, Signer(*cluster.keys).sign(request, one))
        assert answer.status in (200, 204), str(answer)

    for _ in range(10):
        assert http_get(f"{two}/{bucket}/k")[0] == 200
        block("PUT", b"<PublicAccessBlockConfiguration><IgnorePublicAcls>true</IgnorePublicAcls></PublicAccessBlockConfiguration>")
        assert http_get(f"{two}/{bucket}/k")[0] == 403
        block("DELETE")


@pytest.mark.parametrize("revoke", [disable_key, change_policy, end_role, cancel_token], ids=lambda revoke: revoke.__name__)
def test_it_fails_too_when_the_leader_has_just_been_killed(cluster, revoke):
    """It is taken away as soon as there is somebody who does; nobody answers by what was before it."""
    they = Identities(cluster, patience=10)
    they.use()
    leader = cluster.wait_leader("om")
    cluster.process(leader).kill()
    try:
        revoke(they)
    finally:
        cluster.start(leader).wait_ready(leader, timeout=120)


@pytest.mark.parametrize("revoke", [disable_key, end_role], ids=lambda revoke: revoke.__name__)
def test_a_leader_that_slept_through_it_lets_nobody_in(cluster, revoke):
    """It wakes up believing that it leads; what it decides then must not count."""
    they = Identities(cluster, patience=10)
    they.use()
    leader = cluster.wait_leader("om")
    cluster.process(leader).signal(signal.SIGSTOP)
    wake = threading.Timer(60, cluster.process(leader).signal, [signal.SIGCONT])
    wake.start()
    try:
        revoke(they, between=lambda: cluster.process(leader).signal(signal.SIGCONT))
    finally:
        cluster.process(leader).signal(signal.SIGCONT)
        wake.cancel()
        cluster.wait_ready(leader, timeout=60)


def test_what_the_leader_s_configuration_names_and_lacks_is_told_at_every_gateway(tmp_path):
    cluster = Cluster(tmp_path, binary())
    names = '[[iam.user]]\nname = "late"\ngroups = ["latecomers"]\n\n[[bucket]]\nname = "of-the-late"\nowner = "late-account"\n'
    cluster.create(om=3, scm=1, free_ports=True, extra=names)

    def is_told(*lacking):
        """Of each, at every gateway; and of nothing else that the configuration names."""
        for gateway in cluster.names("gateway"):
            told = [problem for problem in cluster.admin("status", gateway=gateway)["problems"] if "configuration" in problem]
            if len(told) != len(lacking) or not all(any(word in problem for problem in told) for word in lacking):
                return False
        return True
    try:
        cluster.start().wait_ready(timeout=180)
        before = cluster.wait_leader("om")
        wait_until(lambda: is_told("latecomers", "late-account"), 30, "the gateways tell of it")
        cluster.admin("om", "transfer")
        cluster.wait_leader("om", other_than=before)
        wait_until(lambda: is_told("latecomers", "late-account"), 30, "and under the next leader, of its own configuration")
        cluster.admin("group", "create", "latecomers")
        wait_until(lambda: is_told("late-account"), 60, "one is made, and told no longer")
        cluster.admin("account", "create", "late-account")
        wait_until(is_told, 60, "nothing is left")
        boto(cluster.s3_urls()[0], cluster.keys, retries=8).head_bucket(Bucket="of-the-late")
    finally:
        for name in cluster.names():
            cluster.process(name).kill()


@pytest.mark.parametrize("role", ["om", "scm"])
def test_a_member_without_a_leader_is_not_ready(tmp_path, role):
    cluster = Cluster(tmp_path, binary())
    cluster.create(om=3, scm=3, datanode=0, gateway=0, free_ports=True)
    try:
        cluster.start().wait_ready(timeout=120)
        alone, *others = cluster.names(role)
        for name in others:
            cluster.process(name).kill()
        wait_until(lambda: not cluster.process(alone).ready(), 30, "no majority, not ready")
        cluster.start(*others).wait_ready(alone, timeout=60)
    finally:
        for name in cluster.names():
            cluster.process(name).kill()


def test_a_process_with_a_wrong_token_is_not_let_in(cluster, tmp_path):
    stranger = Cluster(tmp_path / "stranger", binary())
    stranger.create(om=1, scm=1, datanode=1, gateway=0, free_ports=True)
    config = (cluster.folder / "conf" / "dn1.toml").read_text()
    own = stranger.folder / "conf" / "dn1.toml"
    text = config.replace(str(cluster.data("dn1")), str(tmp_path / "data")).replace(
        str(cluster.folder / "join-token"), str(stranger.folder / "join-token"))
    for what in ("rpc", "data", "admin"):
        text = text.replace(f":{cluster.port('dn1', what)}\"", f":{stranger.port('dn1', what)}\"")
    own.write_text(text.replace('node = "dn1"', 'node = "intruder"'))
    process = stranger.process("dn1")
    process.start()
    try:
        from processes import NotReady
        with pytest.raises(NotReady):
            process.wait_ready(8)
        assert len(cluster.admin("datanode", "list")) == 3
    finally:
        process.kill()


def test_no_process_is_missed(tmp_path):
    # The limit of five seconds is for a quiet machine and a release build: `make drill-failover` has it.
    failover.run(tmp_path, binary(), resume_limit=30.0, config=SOON, clients=6)


@pytest.mark.long
def test_a_member_that_was_away_catches_up_by_snapshot(tmp_path):
    catchup.run(tmp_path, keys=10_000, executable=binary())
