"""Server access logs: which requests are told of, in which words, and into which objects; what becomes of records that cannot go
where they should."""

import concurrent.futures
import json
import re
import urllib.request

import pytest

from cluster import Cluster
from conftest import keys_of, new_name
from harness.clients import boto
from harness.server import ALICE, BOB, Server, binary, wait_until
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


def logged_bucket(client, **more):
    source = new_name("source")
    client.create_bucket(Bucket=source)
    target = target_for(client, source)
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

    def refused_records():
        text = urllib.request.urlopen(logging.admin + "/metrics").read().decode()
        return [line for line in text.splitlines() if line.startswith('gateway_access_log_records_lost_total{reason="refused"}')]
    wait_until(refused_records, 20, "the loss is counted")


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
