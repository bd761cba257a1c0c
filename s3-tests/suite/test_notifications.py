"""Notifications: what is told of a bucket's changes, to whom, in what order; and that nothing is lost when the receiver or the server is
not there for a while."""

import json
import urllib.request

import pytest

from cluster import Cluster
from conftest import keys_of, new_name
from harness.clients import boto
from harness.server import ALICE, BOB, ROOT_KEYS, binary, wait_until
from harness.webhook import Receiver
from support import refused

TOKEN = "hook-secret"


def settings(folder, receiver, other=None, **more):
    token = folder / "token"
    token.write_text(TOKEN + "\n")
    token.chmod(0o600)
    lines = ["[notifications.audit]", f'url = "http://127.0.0.1:{receiver.port}/hook?x=1"', f"token_file = {json.dumps(str(token))}"]
    lines += [f"{name} = {json.dumps(value)}" for name, value in more.items()]
    if other is not None:
        lines += ["[notifications.other-one]", f'url = "http://127.0.0.1:{other.port}"']
    return "\n".join(lines) + "\n"


@pytest.fixture(scope="module")
def telling(tmp_path_factory, receiver):
    from harness.server import Server
    folder = tmp_path_factory.mktemp("server-notifications")
    server = Server(folder, config=settings(folder, receiver, Receiver()))
    server.start().wait_ready()
    yield server
    assert server.stop() == 0, server.log_tail(15)


@pytest.fixture
def alice(telling):
    return boto(telling.endpoint, keys_of(ALICE))


@pytest.fixture
def told(alice):
    """A bucket whose every change is told."""
    name = new_name("told")
    alice.create_bucket(Bucket=name)
    tell(alice, name)
    return name


EVERYTHING = ["s3:ObjectCreated:*", "s3:ObjectRemoved:*", "s3:ObjectTagging:*", "s3:ObjectAcl:Put", "s3:LifecycleExpiration:*"]


def arn(name="audit", service="sqs"):
    return f"arn:trioxide:{service}::{name}:webhook"


def queue(events=EVERYTHING, to="audit", rules=(), name="all"):
    configuration = {"Id": name, "QueueArn": arn(to), "Events": list(events)}
    if rules:
        configuration["Filter"] = {"Key": {"FilterRules": [{"Name": end, "Value": value} for end, value in rules]}}
    return configuration


def tell(client, bucket, *configurations):
    client.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"QueueConfigurations": list(configurations) or [queue()]})


def about(receiver, bucket):
    return [record for record in receiver.records() if record["s3"]["bucket"]["name"] == bucket]


def await_about(receiver, bucket, count, timeout=30):
    wait_until(lambda: len(about(receiver, bucket)) >= count, timeout, f"{count} events of {bucket}: {about(receiver, bucket)}")
    return about(receiver, bucket)


def names(records):
    return [(record["eventName"], record["s3"]["object"]["key"]) for record in records]


def test_an_event_tells_what_happened_who_did_it_and_where(alice, telling, receiver, told):
    put = alice.put_object(Bucket=told, Key="a folder/ä cat+1.jpg", Body=b"x" * 100)
    [record] = await_about(receiver, told, 1)
    assert record["eventSource"] == "aws:s3" and record["eventVersion"] == "2.1" and record["awsRegion"] == "us-east-1"
    assert record["eventName"] == "ObjectCreated:Put"
    assert record["userIdentity"] == {"principalId": f"AWS:{ALICE.id}"}
    assert record["requestParameters"] == {"sourceIPAddress": "127.0.0.1"}
    assert record["responseElements"]["x-amz-request-id"] == put["ResponseMetadata"]["RequestId"]
    s3 = record["s3"]
    assert (s3["s3SchemaVersion"], s3["configurationId"]) == ("1.0", "all")
    assert s3["bucket"] == {"name": told, "ownerIdentity": {"principalId": ALICE.id}, "arn": f"arn:aws:s3:::{told}"}
    sequencer = s3["object"].pop("sequencer")
    assert int(sequencer, 16) > 0
    assert s3["object"] == {"key": "a+folder/%C3%A4+cat%2B1.jpg", "size": 100, "eTag": put["ETag"].strip('"')}
    path, headers, _ = receiver.heads[-1]
    assert path == "/hook?x=1" and headers["authorization"] == f"Bearer {TOKEN}" and headers["content-type"] == "application/json"
    assert any(test["Bucket"] == told for test in receiver.tests()), "the destination was told of the configuration first"


def test_every_kind_of_change_has_its_event_and_those_of_a_key_come_in_order(alice, receiver, told):
    alice.put_object(Bucket=told, Key="a", Body=b"x")
    alice.copy_object(Bucket=told, Key="b", CopySource={"Bucket": told, "Key": "a"})
    upload = alice.create_multipart_upload(Bucket=told, Key="c")["UploadId"]
    etag = alice.upload_part(Bucket=told, Key="c", UploadId=upload, PartNumber=1, Body=b"y")["ETag"]
    alice.complete_multipart_upload(Bucket=told, Key="c", UploadId=upload, MultipartUpload={"Parts": [{"PartNumber": 1, "ETag": etag}]})
    alice.put_object_tagging(Bucket=told, Key="a", Tagging={"TagSet": [{"Key": "k", "Value": "v"}]})
    alice.delete_object_tagging(Bucket=told, Key="a")
    alice.put_object_acl(Bucket=told, Key="a", ACL="public-read")
    alice.delete_object(Bucket=told, Key="a")
    alice.delete_object(Bucket=told, Key="absent")
    alice.delete_objects(Bucket=told, Delete={"Objects": [{"Key": "b"}, {"Key": "c"}]})
    expected = [("ObjectCreated:Put", "a"), ("ObjectCreated:Copy", "b"), ("ObjectCreated:CompleteMultipartUpload", "c"), ("ObjectTagging:Put", "a"),
                ("ObjectTagging:Delete", "a"), ("ObjectAcl:Put", "a"), ("ObjectRemoved:Delete", "a"), ("ObjectRemoved:Delete", "b"),
                ("ObjectRemoved:Delete", "c")]
    records = await_about(receiver, told, len(expected))
    for key in "abc":
        assert [name for name in names(records) if name[1] == key] == [name for name in expected if name[1] == key]
    by_sequencer = sorted(records, key=lambda record: record["s3"]["object"]["sequencer"])
    assert names(by_sequencer) == expected and len({record["s3"]["object"]["sequencer"] for record in records}) == len(expected)


def test_a_versioned_bucket_tells_versions_and_markers(alice, receiver, told):
    alice.put_bucket_versioning(Bucket=told, VersioningConfiguration={"Status": "Enabled"})
    first = alice.put_object(Bucket=told, Key="a", Body=b"x")["VersionId"]
    marker = alice.delete_object(Bucket=told, Key="a")["VersionId"]
    alice.delete_object(Bucket=told, Key="a", VersionId=first)
    records = await_about(receiver, told, 3)
    assert [(record["eventName"], record["s3"]["object"]["versionId"]) for record in records] == [
        ("ObjectCreated:Put", first), ("ObjectRemoved:DeleteMarkerCreated", marker), ("ObjectRemoved:Delete", first)]


def test_only_what_the_filter_lets_through_is_told(alice, receiver, told):
    tell(alice, told, queue(["s3:ObjectCreated:Put"], rules=[("prefix", "in/"), ("suffix", ".jpg")]))
    for key in ("in/a.png", "out/a.jpg", "in/b.jpg"):
        alice.put_object(Bucket=told, Key=key, Body=b"x")
    alice.delete_object(Bucket=told, Key="in/b.jpg")
    alice.put_object(Bucket=told, Key="in/last.jpg", Body=b"x")
    await_about(receiver, told, 2)
    assert sorted(names(about(receiver, told))) == [("ObjectCreated:Put", "in/b.jpg"), ("ObjectCreated:Put", "in/last.jpg")]


def test_nobody_is_told_of_what_did_not_happen_or_happens_after_the_configuration_is_gone(alice, receiver, told):
    alice.put_object(Bucket=told, Key="a", Body=b"x")
    with refused("PreconditionFailed", 412):
        alice.put_object(Bucket=told, Key="a", Body=b"x", IfNoneMatch="*")
    alice.put_bucket_notification_configuration(Bucket=told, NotificationConfiguration={})
    alice.put_object(Bucket=told, Key="late", Body=b"x")
    tell(alice, told)
    alice.put_object(Bucket=told, Key="last", Body=b"x")
    assert sorted(names(await_about(receiver, told, 2))) == [("ObjectCreated:Put", "a"), ("ObjectCreated:Put", "last")]


def test_configurations_come_back_and_wrong_ones_are_refused(alice, told):
    lists = {"TopicConfigurations": [{"Id": "t", "TopicArn": arn(service="sns"), "Events": ["s3:ObjectCreated:Copy"]}],
             "QueueConfigurations": [queue(["s3:ObjectCreated:Put"], to="other-one", name="q")],
             "LambdaFunctionConfigurations": [{"Id": "f", "LambdaFunctionArn": arn(service="lambda"), "Events": ["s3:ObjectRemoved:*"]}]}
    alice.put_bucket_notification_configuration(Bucket=told, NotificationConfiguration=lists)
    shown = alice.get_bucket_notification_configuration(Bucket=told)
    assert {key: value for key, value in shown.items() if key != "ResponseMetadata"} == lists
    for unknown in (arn("nobody"), "arn:aws:sqs:us-east-1:123456789012:queue", arn() + ":x", "arn:trioxide:sqs::audit:kafka"):
        with refused("InvalidArgument", 400):
            tell(alice, told, {**queue(), "QueueArn": unknown})
    with refused("InvalidArgument", 400):
        tell(alice, told, queue(["s3:ObjectCreated:*"], name="one"), queue(["s3:ObjectCreated:Put"], to="other-one", name="two"))
    with refused("InvalidArgument", 400):
        tell(alice, told, queue(rules=[("middle", "x")]))
    with refused("InvalidArgument", 400):
        tell(alice, told, queue(rules=[("prefix", "x"), ("prefix", "y")]))
    assert "TopicConfigurations" in alice.get_bucket_notification_configuration(Bucket=told)


def test_events_wait_for_a_receiver_that_is_away(new_server, tmp_path):
    away, present = Receiver(), Receiver().start()
    server = new_server(config=settings(tmp_path, away, present)).start().wait_ready()
    alice = boto(server.endpoint, keys_of(ALICE))
    bucket = new_name("told")
    alice.create_bucket(Bucket=bucket)
    tell(alice, bucket, queue(["s3:ObjectCreated:*"]), queue(["s3:ObjectRemoved:*"], to="other-one", name="gone"))
    expected = [("ObjectCreated:Put", f"k{n % 5}") for n in range(20)]
    for _, key in expected:
        alice.put_object(Bucket=bucket, Key=key, Body=b"x")
    alice.delete_object(Bucket=bucket, Key="k0")
    present.await_seen([("ObjectRemoved:Delete", "k0")])
    wait_until(lambda: state(server, "audit")["waiting"] == 21, 20, "everything waits for the one that is away, and it alone")
    away.start()
    wait_until(lambda: len(away.seen()) >= 20, 60, "the events")
    assert sorted(away.seen()) == sorted(expected) and len(away.tests()) == 1
    assert all(sequencers == sorted(sequencers) and len(sequencers) == 4 for sequencers in away.of_each_key().values()), "in their order"
    wait_until(lambda: state(server, "audit")["waiting"] == 0, 20, "nothing waits any more")
    away.stop(), present.stop()


def state(server, name):
    shown = json.loads(server.admin_command("notifications").stdout)
    return next(destination for destination in shown["destinations"] if destination["name"] == name)


def test_a_server_that_is_killed_in_between_loses_no_event(new_server, tmp_path):
    receiver = Receiver()
    server = new_server(config=settings(tmp_path, receiver)).start().wait_ready()
    alice = boto(server.endpoint, keys_of(ALICE))
    bucket = new_name("told")
    alice.create_bucket(Bucket=bucket)
    tell(alice, bucket, queue(["s3:ObjectCreated:*"]))
    expected = [("ObjectCreated:Put", f"k{n}") for n in range(10)]
    for _, key in expected + expected:
        alice.put_object(Bucket=bucket, Key=key, Body=b"x")
    server.kill()
    receiver.start()
    server.start().wait_ready()
    in_order = lambda: {key: sorted(sequencers) for key, sequencers in receiver.of_each_key().items()}
    wait_until(lambda: [len(sequencers) for sequencers in in_order().values()] == [2] * 10, 30, "two events of each key")
    assert receiver.of_each_key() == in_order()
    server.kill()
    receiver.stop()


def test_events_of_different_keys_go_side_by_side_over_connections_that_are_kept(new_server, tmp_path):
    receiver = Receiver().start()
    receiver.delay = 0.1
    server = new_server(config=settings(tmp_path, receiver)).start().wait_ready()
    alice = boto(server.endpoint, keys_of(ALICE))
    bucket = new_name("told")
    alice.create_bucket(Bucket=bucket)
    tell(alice, bucket, queue(["s3:ObjectCreated:*"]))
    expected = [("ObjectCreated:Put", f"k{n}") for n in range(120)]
    for _, key in expected:
        alice.put_object(Bucket=bucket, Key=key, Body=b"x")
    # One after another they would take twelve seconds.
    receiver.await_seen(expected, timeout=9)
    assert len(receiver.connections) <= 8, "as many as are told at once"
    receiver.stop()


@pytest.mark.parametrize("orderly", [True, False])
def test_an_end_in_the_middle_repeats_little_and_loses_nothing(new_server, tmp_path, orderly):
    receiver = Receiver().start()
    receiver.delay = 0.3
    server = new_server(config=settings(tmp_path, receiver)).start().wait_ready()
    alice = boto(server.endpoint, keys_of(ALICE))
    bucket = new_name("told")
    alice.create_bucket(Bucket=bucket)
    expected = [("ObjectCreated:Put", f"k{n}") for n in range(100)]
    tell(alice, bucket, queue(["s3:ObjectCreated:*"]))
    for _, key in expected:
        alice.put_object(Bucket=bucket, Key=key, Body=b"x")
    wait_until(lambda: len(receiver.seen()) >= 40, 60, "some are told")
    server.stop() if orderly else server.kill()
    receiver.delay = 0
    server.start().wait_ready()
    receiver.await_seen(expected, timeout=60)
    wait_until(lambda: state(server, "audit")["waiting"] == 0, 20, "nothing waits any more")
    # Those that were under way; after a crash also those of the last second, eight at a time.
    most = 8 if orderly else 8 * 5
    assert len(receiver.seen()) - len(expected) <= most
    receiver.stop()


def test_a_wrong_address_is_not_the_fault_of_events(new_server, tmp_path):
    receiver = Receiver().start()
    receiver.answers = {"k": 404}
    server = new_server(config=settings(tmp_path, receiver)).start().wait_ready()
    alice = boto(server.endpoint, keys_of(ALICE))
    bucket = new_name("told")
    alice.create_bucket(Bucket=bucket)
    tell(alice, bucket, queue(["s3:ObjectCreated:*"]))
    alice.put_object(Bucket=bucket, Key="k", Body=b"x")
    # More often than an event is refused before it is put aside.
    wait_until(lambda: sum(status == 404 for _, _, status in receiver.heads) > 5, 60, "it is tried again and again")
    assert state(server, "audit")["dead"] == 0
    receiver.answers = {}
    receiver.await_seen([("ObjectCreated:Put", "k")], timeout=40)
    receiver.stop()


def test_what_a_receiver_refuses_is_put_aside_and_does_not_hold_up_the_rest(new_server, tmp_path):
    receiver = Receiver().start()
    receiver.answers = {"poison": 410}
    server = new_server(config=settings(tmp_path, receiver)).start().wait_ready()
    alice = boto(server.endpoint, keys_of(ALICE))
    bucket = new_name("told")
    alice.create_bucket(Bucket=bucket)
    tell(alice, bucket, queue(["s3:ObjectCreated:*"]))
    for key in ("before", "poison", "after"):
        alice.put_object(Bucket=bucket, Key=key, Body=b"x")
    receiver.await_seen([("ObjectCreated:Put", "before"), ("ObjectCreated:Put", "after")], timeout=60)
    wait_until(lambda: state(server, "audit")["waiting"] == 0, 20, "nothing waits any more")
    shown = json.loads(server.admin_command("notifications").stdout)
    [dead] = shown["dead"]
    assert (dead["destination"], dead["event"]["Records"][0]["s3"]["object"]["key"]) == ("audit", "poison")
    assert "410" in dead["why"] and state(server, "audit") == {"name": "audit", "waiting": 0, "dead": 1, "configured": True}
    metrics = urllib.request.urlopen(server.admin + "/metrics").read().decode()
    assert 'om_events_dead_total{destination="audit"} 1' in metrics
    refused_as = server.admin_command("notifications", keys=keys_of(BOB), check=False)
    assert refused_as.returncode != 0 and "poison" not in refused_as.stdout
    receiver.answers = {}
    assert json.loads(server.admin_command("notifications", "--destination", "audit", "--revive").stdout)["revived"] == 1
    receiver.await_seen([("ObjectCreated:Put", "poison")])
    wait_until(lambda: state(server, "audit")["dead"] == 0, 20, "nothing is dead any more")
    receiver.stop()


def test_what_waits_for_too_long_is_put_aside(new_server, tmp_path):
    away = Receiver()
    server = new_server(config=settings(tmp_path, away, give_up_after="1s")).start().wait_ready()
    alice = boto(server.endpoint, keys_of(ALICE))
    bucket = new_name("told")
    alice.create_bucket(Bucket=bucket)
    tell(alice, bucket, queue(["s3:ObjectCreated:*"]))
    alice.put_object(Bucket=bucket, Key="k", Body=b"x")
    wait_until(lambda: state(server, "audit")["dead"] == 2, 60, "the test and the event are put aside")
    assert state(server, "audit")["waiting"] == 0


def test_what_lifecycle_rules_do_is_told(new_server, tmp_path):
    receiver = Receiver().start()
    classes = '[om]\nlifecycle_day = "1s"\n[storage_classes]\nCOLD = "default"\n'
    server = new_server(config=classes + settings(tmp_path, receiver)).start().wait_ready()
    alice = boto(server.endpoint, keys_of(ALICE))
    bucket = new_name("told")
    alice.create_bucket(Bucket=bucket)
    tell(alice, bucket, queue(["s3:LifecycleTransition", "s3:LifecycleExpiration:*"]))
    put = alice.put_object(Bucket=bucket, Key="k", Body=b"x" * 200_000)
    rule = {"ID": "r", "Status": "Enabled", "Filter": {"Prefix": ""}, "Transitions": [{"Days": 1, "StorageClass": "COLD"}], "Expiration": {"Days": 3}}
    alice.put_bucket_lifecycle_configuration(Bucket=bucket, LifecycleConfiguration={"Rules": [rule]})
    assert receiver.await_seen([("LifecycleTransition", "k"), ("LifecycleExpiration:Delete", "k")], timeout=60)[0][0] == "LifecycleTransition"
    moved = receiver.records()[0]
    assert moved["lifecycleEventData"] == {"transitionEventData": {"destinationStorageClass": "COLD"}}
    assert (moved["s3"]["object"]["size"], moved["s3"]["object"]["eTag"]) == (200_000, put["ETag"].strip('"'))
    assert moved["userIdentity"] == {"principalId": "s3.amazonaws.com"} and moved["requestParameters"] == {"sourceIPAddress": "s3.amazonaws.com"}
    receiver.stop()


def test_a_redirection_is_not_followed(new_server, tmp_path):
    receiver = Receiver().start()
    receiver.answers = {"k": 302}
    server = new_server(config=settings(tmp_path, receiver, give_up_after="1s")).start().wait_ready()
    alice = boto(server.endpoint, keys_of(ALICE))
    bucket = new_name("told")
    alice.create_bucket(Bucket=bucket)
    tell(alice, bucket, queue(["s3:ObjectCreated:*"]))
    alice.put_object(Bucket=bucket, Key="k", Body=b"x")
    wait_until(lambda: state(server, "audit")["dead"] == 1, 60, "the event is put aside")
    assert {path for path, _, _ in receiver.heads} == {"/hook?x=1"}
    receiver.stop()


@pytest.mark.parametrize("url", ["ftp://hooks.example/", "file:///etc/passwd", "http://me:secret@hooks.example/"])
def test_a_destination_that_cannot_be_told_keeps_the_server_from_starting(new_server, url):
    server = new_server(config=f'[notifications.audit]\nurl = "{url}"\n').start()
    wait_until(lambda: not server.alive(), 30, "the server gives up")
    assert "notifications.audit" in server.log_tail(15)
    assert ROOT_KEYS[1] not in server.log_tail(15)


@pytest.mark.cluster
@pytest.mark.timeout(600)
@pytest.mark.xdist_group("cluster")
def test_the_next_leader_tells_what_the_one_before_did_not(tmp_path):
    receiver = Receiver()
    cluster = Cluster(tmp_path / "cluster", binary())
    cluster.create(free_ports=True, extra=settings(tmp_path, receiver))
    try:
        cluster.start().wait_ready(timeout=180).wait_writable()
        client = boto(cluster.s3_urls()[0], cluster.keys, retries=8)
        bucket = new_name("told")
        client.create_bucket(Bucket=bucket)
        tell(client, bucket, queue(["s3:ObjectCreated:*"]))
        expected = [("ObjectCreated:Put", f"k{n}") for n in range(10)]
        for _, key in expected:
            client.put_object(Bucket=bucket, Key=key, Body=b"x")
        before = cluster.leader("om")
        cluster.kill(before)
        cluster.wait_leader("om", other_than=before)
        receiver.start()
        receiver.await_seen(expected, timeout=60)
    finally:
        for name in cluster.names():
            cluster.process(name).kill()
        receiver.stop()
