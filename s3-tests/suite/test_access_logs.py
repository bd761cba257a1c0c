"""Server access logs: which requests are told of, in which words, and into which objects; what becomes of records that cannot go
where they should."""

import base64
import concurrent.futures
import contextlib
import json
import re
import urllib.error
import urllib.parse
import urllib.request

import pytest

from cluster import Cluster
from conftest import keys_of, new_name
from harness.clients import boto
from harness.server import ALICE, BOB, Server, binary, free_port, wait_until
from support import body_of, keys_in, refused

ROLL = '[gateway]\naccess_log_roll = "500ms"\n'
FIELDS = ("owner", "bucket", "time", "remote", "requester", "request_id", "operation", "key", "request", "status", "error", "sent", "size",
          "total", "turn", "referer", "agent", "version", "host_id", "signature", "cipher", "authentication", "host", "tls", "access_point",
          "acl")
WORD = re.compile(r'"([^"]*)"|\[([^\]]*)\]|(\S+)')


@pytest.fixture(scope="module")
def logging(tmp_path_factory):
    """A server that does not let records wait long."""
    server = Server(tmp_path_factory.mktemp("server-logs"), config=ROLL)
    server.start().wait_ready()
    yield server
    assert server.stop() == 0, server.log_tail(15)


@pytest.fixture
def alice(logging):
    return boto(logging.endpoint, keys_of(ALICE))


def target_for(client, *sources, prefix="log/", owners=(ALICE.id,)):
    """A bucket that lets the logs of these in."""
    target = new_name("logs")
    client.create_bucket(Bucket=target)
    let_in(client, target, *sources, prefix=prefix, owners=owners)
    return target


def let_in(client, target, *sources, prefix="log/", owners=(ALICE.id,)):
    client.put_bucket_policy(Bucket=target, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": {"Service": "logging.s3.amazonaws.com"}, "Action": "s3:PutObject",
        "Resource": f"arn:aws:s3:::{target}/{prefix}*",
        "Condition": {"ArnLike": {"aws:SourceArn": [f"arn:aws:s3:::{source}" for source in sources]},
                      "StringEquals": {"aws:SourceAccount": list(owners)}}}]}))


def log_to(client, source, target, prefix="log/", **more):
    client.put_bucket_logging(Bucket=source, BucketLoggingStatus={
        "LoggingEnabled": {"TargetBucket": target, "TargetPrefix": prefix, **more}})


def logged_bucket(client, owner=ALICE, **more):
    source = new_name("source")
    client.create_bucket(Bucket=source)
    target = target_for(client, source, owners=(owner.id,))
    log_to(client, source, target, **more)
    return source, target


def parsed(line):
    words = [next(group for group in found.groups() if group is not None) for found in WORD.finditer(line)]
    assert len(words) == len(FIELDS), line
    return dict(zip(FIELDS, words))


def records(client, target, prefix=""):
    listed = client.list_objects_v2(Bucket=target, Prefix=prefix)
    return [parsed(line) for key in keys_in(listed) for line in body_of(client, target, key).decode("ascii").splitlines()]


def await_records(client, target, wanted, prefix="", timeout=20):
    """The records, once the wanted operations are among them."""
    def are_there():
        found = records(client, target, prefix)
        names = [record["operation"] for record in found]
        return found if all(names.count(name) >= wanted.count(name) for name in wanted) else None
    return wait_until(are_there, timeout, f"records of {wanted}")


def lost(server, why):
    """How many records will be in no log."""
    text = urllib.request.urlopen(server.admin + "/metrics").read().decode()
    start = f'gateway_access_log_records_lost_total{{reason="{why}"}} '
    return next((int(float(line.removeprefix(start))) for line in text.splitlines() if line.startswith(start)), 0)


def of(found, operation):
    return [record for record in found if record["operation"] == operation]


def test_every_request_of_the_bucket_is_told_of_in_the_fields_of_s3(alice, logging):
    source, target = logged_bucket(alice)
    key = "a folder/ä \"key\".txt"
    put = alice.put_object(Bucket=source, Key=key, Body=b"x" * 1000)
    alice.get_object(Bucket=source, Key=key, Range="bytes=0-99")["Body"].read()
    with refused("NoSuchKey", 404):
        alice.get_object(Bucket=source, Key="absent")
    with refused("AccessDenied", 403):
        boto(logging.endpoint, keys_of(BOB)).list_objects_v2(Bucket=source)
    found = await_records(alice, target, ["REST.PUT.OBJECT", "REST.GET.OBJECT", "REST.GET.OBJECT", "REST.GET.BUCKET"])
    [written] = of(found, "REST.PUT.OBJECT")
    shown = "a%2520folder/%25C3%25A4%2520%2522key%2522.txt"
    assert {name: written[name] for name in ("owner", "bucket", "requester", "key", "status", "error", "sent", "size", "signature",
                                             "authentication", "remote", "acl", "cipher", "access_point")} == {
        "owner": ALICE.id, "bucket": source, "requester": ALICE.id, "key": shown, "status": "200", "error": "-", "sent": "-",
        "size": "1000", "signature": "SigV4", "authentication": "AuthHeader", "remote": "127.0.0.1", "acl": "-", "cipher": "-",
        "access_point": "-"}
    assert written["request_id"] == put["ResponseMetadata"]["RequestId"]
    assert written["host_id"] == put["ResponseMetadata"]["HostId"]
    assert written["request"].startswith(f"PUT /{source}/a%20folder/") and written["request"].endswith(" HTTP/1.1")
    assert re.fullmatch(r"\d\d/[A-Z][a-z]{2}/\d{4}:\d\d:\d\d:\d\d \+0000", written["time"])
    assert written["agent"].startswith("Boto3/") and written["host"] == f"127.0.0.1:{logging.s3_port}"
    assert int(written["total"]) >= int(written["turn"]) >= 0
    part, missing = sorted(of(found, "REST.GET.OBJECT"), key=lambda record: record["status"])
    assert (part["status"], part["sent"], part["size"]) == ("206", "100", "1000")
    assert (missing["status"], missing["error"], missing["key"]) == ("404", "NoSuchKey", "absent")
    [refusal] = of(found, "REST.GET.BUCKET")
    assert (refusal["requester"], refusal["status"], refusal["error"], refusal["key"]) == (BOB.id, "403", "AccessDenied", "-")


def test_who_asks_by_a_url_or_by_an_acl_is_told(alice, logging):
    source, target = logged_bucket(alice)
    alice.put_object(Bucket=source, Key="k", Body=b"x", ACL="public-read")
    url = boto(logging.endpoint, keys_of(ALICE), signature_version="s3v4").generate_presigned_url("get_object", Params={"Bucket": source, "Key": "k"})
    signature = re.search("X-Amz-Signature=([0-9a-f]+)", url).group(1)
    assert urllib.request.urlopen(url).read() == b"x"
    assert urllib.request.urlopen(f"{logging.endpoint}/{source}/k?x=1").read() == b"x"
    found = of(await_records(alice, target, ["REST.GET.OBJECT"] * 2), "REST.GET.OBJECT")
    by_url, by_acl = sorted(found, key=lambda record: record["requester"], reverse=True)
    assert (by_url["requester"], by_url["authentication"], by_url["acl"]) == (ALICE.id, "QueryString", "-")
    assert signature not in json.dumps(found)
    assert (by_acl["requester"], by_acl["authentication"], by_acl["signature"], by_acl["acl"]) == ("-", "-", "-", "Yes")


def test_copies_are_told_of_at_their_source_and_deletions_each_by_its_key(alice):
    source, target = logged_bucket(alice)
    elsewhere = new_name("elsewhere")
    alice.create_bucket(Bucket=elsewhere)
    for key in ("one", "two"):
        alice.put_object(Bucket=source, Key=key, Body=b"x")
    alice.copy_object(Bucket=elsewhere, Key="copy", CopySource={"Bucket": source, "Key": "one"})
    alice.copy_object(Bucket=source, Key="three", CopySource={"Bucket": source, "Key": "two"})
    alice.delete_objects(Bucket=source, Delete={"Objects": [{"Key": "one"}, {"Key": "two"}]})
    found = await_records(alice, target, ["REST.COPY.OBJECT_GET"] * 2 + ["REST.COPY.OBJECT"] + ["BATCH.DELETE.OBJECT"] * 2)
    assert sorted(record["key"] for record in of(found, "REST.COPY.OBJECT_GET")) == ["one", "two"]
    assert [record["key"] for record in of(found, "REST.COPY.OBJECT")] == ["three"]
    assert [(record["key"], record["status"]) for record in of(found, "BATCH.DELETE.OBJECT")] == [("one", "204"), ("two", "204")]
    assert [record["key"] for record in of(found, "REST.POST.MULTI_OBJECT_DELETE")] == ["-"]


@pytest.mark.parametrize("date", ["EventTime", "DeliveryTime"])
def test_log_objects_are_named_by_owner_region_bucket_and_day_where_that_is_wanted(alice, date):
    source, target = logged_bucket(alice, TargetObjectKeyFormat={"PartitionedPrefix": {"PartitionDateSource": date}})
    alice.put_object(Bucket=source, Key="k", Body=b"x")
    await_records(alice, target, ["REST.PUT.OBJECT"])
    name = re.compile(rf"log/{ALICE.id}/us-east-1/{source}/(\d{{4}})/(\d\d)/(\d\d)/\1-\2-\3-(\d\d-\d\d-\d\d)-[0-9A-F]{{16}}")
    for key in keys_in(alice.list_objects_v2(Bucket=target)):
        found = name.fullmatch(key)
        assert found, key
        if date == "EventTime":
            assert found.group(4) == "00-00-00"
    head = alice.head_object(Bucket=target, Key=key)
    assert head["ContentType"] == "text/plain"
    assert alice.get_object_acl(Bucket=target, Key=key)["Owner"]["ID"] == ALICE.id


def test_one_object_holds_records_of_several_buckets_and_of_many_requests(alice):
    first, second = new_name("source"), new_name("source")
    for bucket in (first, second):
        alice.create_bucket(Bucket=bucket)
    target = target_for(alice, first, second)
    for bucket in (first, second):
        log_to(alice, bucket, target)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(lambda n: alice.put_object(Bucket=(first, second)[n % 2], Key=f"k{n}", Body=b"x"), range(200)))
    found = await_records(alice, target, ["REST.PUT.OBJECT"] * 200)
    written = of(found, "REST.PUT.OBJECT")
    assert sorted(record["key"] for record in written) == sorted(f"k{n}" for n in range(200)), "each once"
    per_object = [{parsed(line)["bucket"] for line in body_of(alice, target, key).decode().splitlines()}
                  for key in keys_in(alice.list_objects_v2(Bucket=target))]
    assert {first, second} in per_object
    assert all(re.fullmatch(r"log/\d{4}(-\d\d){5}-[0-9A-F]{16}", key) for key in keys_in(alice.list_objects_v2(Bucket=target)))


def test_what_the_target_refuses_is_lost_and_nobody_else_s_records_with_it(alice, logging):
    bobs = boto(logging.endpoint, keys_of(BOB))
    mine, his = new_name("mine"), new_name("his")
    alice.create_bucket(Bucket=mine)
    bobs.create_bucket(Bucket=his)
    target = target_for(alice, mine, his, owners=(ALICE.id, BOB.id))
    log_to(alice, mine, target)
    log_to(bobs, his, target)
    let_in(alice, target, mine)
    bobs.put_object(Bucket=his, Key="of-bob", Body=b"x")
    alice.put_object(Bucket=mine, Key="of-alice", Body=b"x")
    found = await_records(alice, target, ["REST.PUT.OBJECT"])
    assert {record["bucket"] for record in found} == {mine}
    wait_until(lambda: lost(logging, "refused"), 20, "the loss is counted")


def test_a_target_that_a_stranger_makes_anew_is_told_nothing(alice, logging):
    source, target = new_name("source"), new_name("logs")
    bob = boto(logging.endpoint, keys_of(BOB))
    for name in (source, target):
        alice.create_bucket(Bucket=name)
    alice.put_bucket_ownership_controls(Bucket=target, OwnershipControls={"Rules": [{"ObjectOwnership": "ObjectWriter"}]})
    alice.put_bucket_acl(Bucket=target, ACL="log-delivery-write")
    log_to(alice, source, target)
    alice.delete_bucket(Bucket=target)
    bob.create_bucket(Bucket=target)
    let_in(bob, target, source)
    alice.put_object(Bucket=source, Key="private", Body=b"x")
    wait_until(lambda: lost(logging, "refused") >= 1, 30, "the record is refused")
    assert keys_in(bob.list_objects_v2(Bucket=target)) == []
    # Once the owner means that bucket, they are delivered there.
    log_to(alice, source, target)
    alice.head_object(Bucket=source, Key="private")
    await_records(bob, target, ["REST.HEAD.OBJECT"])


def test_nobody_else_writes_their_logs_into_a_bucket_that_takes_its_owners(alice, logging):
    bob = boto(logging.endpoint, keys_of(BOB))
    source, target = new_name("source"), new_name("logs")
    bob.create_bucket(Bucket=source)
    alice.create_bucket(Bucket=target)
    statement = {"Effect": "Allow", "Principal": {"Service": "logging.s3.amazonaws.com"}, "Action": "s3:PutObject", "Resource": f"arn:aws:s3:::{target}/*"}
    alice.put_bucket_policy(Bucket=target, Policy=json.dumps({"Version": "2012-10-17", "Statement": [statement]}))
    with refused("AccessDenied", 403):
        log_to(bob, source, target)
    let_in(alice, target, source, owners=(BOB.id,))
    log_to(bob, source, target)


def test_only_a_copy_is_told_of_at_its_source(alice, logging):
    source, target = logged_bucket(alice)
    alice.put_object(Bucket=source, Key="k", Body=b"x")
    for path in ("/", f"/{new_name()}"):
        asked = urllib.request.Request(logging.endpoint + path, headers={"x-amz-copy-source": f"{source}/made-up"})
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(asked)
    alice.copy_object(Bucket=source, Key="copy", CopySource={"Bucket": source, "Key": "k"})
    found = await_records(alice, target, ["REST.PUT.OBJECT", "REST.COPY.OBJECT", "REST.COPY.OBJECT_GET"])
    assert [record["key"] for record in of(found, "REST.COPY.OBJECT_GET")] == ["k"]


def test_a_log_holds_no_keys_and_no_signatures(alice, logging):
    source, target = logged_bucket(alice)
    secret = base64.b64encode(b"SSECKEY-CANARY-0123456789abcdef!").decode()
    signer = boto(logging.endpoint, keys_of(ALICE), signature_version="s3v4")
    put = signer.generate_presigned_url("put_object", {"Bucket": source, "Key": "k"})
    signature = re.search("X-Amz-Signature=([0-9a-f]+)", put).group(1)
    query = urllib.parse.urlencode({"x-amz-server-side-encryption-customer-key": secret})
    escaped = put.replace("X-Amz-Signature", "X-Amz-%53ignature")
    for url in (f"{put}&{query}", escaped):
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(urllib.request.Request(url, data=b"x", method="PUT", headers={"Referer": f"https://h/?{put.split('?')[1]}"}))
    await_records(alice, target, ["REST.PUT.OBJECT"] * 2)
    for key in keys_in(alice.list_objects_v2(Bucket=target)):
        text = body_of(alice, target, key).decode()
        assert signature not in text and "SSECKEY" not in text and secret not in text and urllib.parse.quote(secret) not in text
        assert "REDACTED" in text


def test_records_of_a_target_that_cannot_take_them_keep_nobody_elses_out(new_server):
    server = new_server(config=ROLL).start().wait_ready()
    alice, bob = (boto(server.endpoint, keys_of(user)) for user in (ALICE, BOB))
    source, target = logged_bucket(alice)
    bobs, bobs_logs = logged_bucket(bob, BOB)
    bob.put_bucket_encryption(Bucket=bobs_logs, ServerSideEncryptionConfiguration={"Rules": [
        {"ApplyServerSideEncryptionByDefault": {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "no-such-key"}}]})
    for _ in range(3):
        bob.delete_objects(Bucket=bobs, Delete={"Objects": [{"Key": f"k{n}"} for n in range(1000)]})
        alice.put_object(Bucket=source, Key="k", Body=b"x")
    await_records(alice, target, ["REST.PUT.OBJECT"] * 3)
    wait_until(lambda: lost(server, "refused") >= 3000, 60, "the others are lost, and told to be")


def test_visits_of_a_website_are_told_of(new_server):
    port = free_port()
    server = new_server(config=f'{ROLL}website_addr = "127.0.0.1:{port}"\n').start().wait_ready()
    alice = boto(server.endpoint, keys_of(ALICE))
    source, target = logged_bucket(alice)
    alice.put_bucket_website(Bucket=source, WebsiteConfiguration={"IndexDocument": {"Suffix": "index.html"}})
    visit = urllib.request.Request(f"http://127.0.0.1:{port}/page", headers={"Host": source, "x-amz-copy-source": f"{source}/made-up"})
    with pytest.raises(urllib.error.HTTPError):
        urllib.request.urlopen(visit)
    [told] = [record for record in await_records(alice, target, ["WEBSITE.GET.OBJECT"]) if record["key"] != "-"]
    assert (told["operation"], told["key"], told["status"], told["requester"]) == ("WEBSITE.GET.OBJECT", "page", "403", "-")


def test_a_log_that_changes_its_names_keeps_the_day_of_its_records(new_server):
    server = new_server(config='[gateway]\naccess_log_roll = "3s"\n').start().wait_ready()
    alice = boto(server.endpoint, keys_of(ALICE))
    source, target = logged_bucket(alice)
    alice.put_object(Bucket=source, Key="k", Body=b"x")
    log_to(alice, source, target, TargetObjectKeyFormat={"PartitionedPrefix": {"PartitionDateSource": "EventTime"}})
    await_records(alice, target, ["REST.PUT.OBJECT"])
    assert not [key for key in keys_in(alice.list_objects_v2(Bucket=target)) if "1970" in key]


def test_a_log_that_moves_takes_along_what_waits_and_one_that_ends_tells_nothing_more(alice):
    source, target = logged_bucket(alice)
    alice.put_object(Bucket=source, Key="before", Body=b"x")
    let_in(alice, target, source, prefix="moved/")
    log_to(alice, source, target, prefix="moved/")
    assert "before" in [record["key"] for record in await_records(alice, target, ["REST.PUT.OBJECT"], prefix="moved/")]
    before = alice.get_bucket_logging(Bucket=source)["ResponseMetadata"]["HTTPHeaders"]["last-modified"]
    log_to(alice, source, target, prefix="moved/")
    assert alice.get_bucket_logging(Bucket=source)["ResponseMetadata"]["HTTPHeaders"]["last-modified"] == before
    other = target_for(alice, source)
    alice.put_bucket_logging(Bucket=source, BucketLoggingStatus={})
    alice.put_object(Bucket=source, Key="untold", Body=b"x")
    log_to(alice, source, other)
    alice.put_object(Bucket=source, Key="told", Body=b"x")
    found = await_records(alice, other, ["REST.PUT.OBJECT"])
    assert [record["key"] for record in of(found, "REST.PUT.OBJECT")] == ["told"]


def test_only_the_owner_sets_a_log_and_only_where_the_service_is_let_in(alice, logging):
    source, target = new_name("source"), new_name("logs")
    alice.create_bucket(Bucket=source)
    alice.create_bucket(Bucket=target)
    with refused("AccessDenied", 403):
        log_to(alice, source, target)
    let_in(alice, target, source)
    alice.put_bucket_policy(Bucket=source, Policy=json.dumps({"Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Principal": "*", "Action": "s3:PutBucketLogging", "Resource": f"arn:aws:s3:::{source}"}]}))
    with refused("AccessDenied", 403):
        log_to(boto(logging.endpoint, keys_of(BOB)), source, target)
    log_to(alice, source, target)


def test_what_waits_is_delivered_before_the_server_ends(new_server):
    server = new_server(config='[gateway]\naccess_log_roll = "1h"\n').start().wait_ready()
    client = boto(server.endpoint, keys_of(ALICE))
    source, target = logged_bucket(client)
    client.put_object(Bucket=source, Key="last", Body=b"x")
    assert keys_in(client.list_objects_v2(Bucket=target)) == []
    assert server.stop() == 0, server.log_tail(15)
    server.start().wait_ready()
    assert "last" in [record["key"] for record in records(client, target)]


def test_a_bucket_that_was_logged_before_a_restart_is_after_it(new_server):
    server = new_server(config=ROLL).start().wait_ready()
    client = boto(server.endpoint, keys_of(ALICE))
    source, target = logged_bucket(client)
    server.kill()
    server.start().wait_ready()
    wait_until(lambda: client.put_object(Bucket=source, Key="k", Body=b"x") and records(client, target), 20, "a record")


@pytest.mark.cluster
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("cluster")
def test_every_gateway_delivers_what_it_served(tmp_path):
    cluster = Cluster(tmp_path / "cluster", binary())
    cluster.create(free_ports=True)
    for name in cluster.names("gateway"):
        cluster.process(name).env["TRIOXIDE_GATEWAY_ACCESS_LOG_ROLL"] = "500ms"
    try:
        cluster.start().wait_ready(timeout=180).wait_writable()
        one, two = (boto(url, cluster.keys, retries=8) for url in cluster.s3_urls())
        source, target = new_name("source"), new_name("logs")
        for bucket in (source, target):
            one.create_bucket(Bucket=bucket)
        one.put_bucket_acl(Bucket=target, ACL="log-delivery-write")
        log_to(one, source, target)
        one.put_object(Bucket=source, Key="by-one", Body=b"x")

        def by_both():
            # The other gateway learns of the log within seconds.
            two.put_object(Bucket=source, Key="by-two", Body=b"x")
            return {"by-one", "by-two"} <= {record["key"] for record in records(one, target)}
        wait_until(by_both, 60, "records of both gateways", pause=0.5)
        hosts = {record["host_id"] for record in of(records(one, target), "REST.PUT.OBJECT")}
        assert len(hosts) == 2
    finally:
        for name in cluster.names():
            cluster.process(name).kill()
