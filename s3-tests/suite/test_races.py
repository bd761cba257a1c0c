"""What is judged is what is acted on: an object that takes the place of another between the two is nobody's by the rights to the other.

Races, which show a fault more often than not; om/core/src/judged.rs shows the same without chance."""

import json
import threading
import time

import botocore.exceptions
import pytest

from conftest import keys_of, new_name
from harness.clients import boto
from harness.server import ALICE, BOB
from harness.sigv4 import Signer
from harness.wire import Connection, Request, exchange, path_of
from support import body_of
from test_access import arn, set_policy, statement


def taking_turns(*turns, seconds=2):
    """Each of them again and again beside the others; what one raises, this raises."""
    end, raised = time.monotonic() + seconds, []

    def again(turn):
        try:
            while time.monotonic() < end and not raised:
                turn()
        except Exception as error:
            raised.append(error)
    threads = [threading.Thread(target=again, args=(turn,)) for turn in turns]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if raised:
        raise raised[0]


def tried(call, allowed=("AccessDenied", "NoSuchKey", "OperationAborted")):
    """The answer, or none if it was refused."""
    try:
        return call()
    except botocore.exceptions.ClientError as error:
        assert error.response["Error"]["Code"] in allowed, error
        return None


@pytest.fixture
def copies(bobs):
    """Ways for Bob to take another's object along, and what he then has of it."""
    own = new_name()
    bobs.create_bucket(Bucket=own)
    upload = bobs.create_multipart_upload(Bucket=own, Key="parts")["UploadId"]

    def whole(bucket, key):
        return bobs.copy_object(Bucket=own, Key="whole", CopySource=f"{bucket}/{key}")["CopyObjectResult"]["ETag"]

    def part(bucket, key):
        answer = bobs.upload_part_copy(Bucket=own, Key="parts", UploadId=upload, PartNumber=1, CopySource=f"{bucket}/{key}")
        return answer["CopyPartResult"]["ETag"]
    return {"whole": whole, "part": part}


@pytest.mark.parametrize("way", ["whole", "part"])
def test_a_copy_is_of_the_object_that_was_judged(bobs, s3, bucket, copies, way):
    """The right to read an object is none to the one that takes its place before the copy is made."""
    private = s3.put_object(Bucket=bucket, Key="k", Body=b"private")["ETag"]
    turn = iter(range(10**9))

    def write():
        if next(turn) % 2:
            s3.put_object(Bucket=bucket, Key="k", Body=b"private")
        else:
            s3.put_object(Bucket=bucket, Key="k", Body=b"for all", ACL="public-read")
    taken = set()
    taking_turns(write, *[lambda: taken.add(tried(lambda: copies[way](bucket, "k")))] * 3, seconds=3)
    assert private not in taken and len(taken) == 2, taken


@pytest.mark.parametrize("way", ["whole", "part"])
def test_who_may_list_and_not_read_copies_nothing_that_appears(bobs, s3, bucket, copies, way):
    """An absent key is told to those who may list; that it is there a moment later gives them no right to it."""
    set_policy(s3, bucket, statement(bucket, "s3:ListBucket", principal={"AWS": BOB.id}, resource=arn(bucket)))
    turn = iter(range(10**9))

    def write():
        if next(turn) % 2:
            s3.put_object(Bucket=bucket, Key="k", Body=b"private")
        else:
            s3.delete_object(Bucket=bucket, Key="k")
    taken = set()
    taking_turns(write, lambda: taken.add(tried(lambda: copies[way](bucket, "k"))))
    assert taken == {None}, taken


def test_an_acl_is_set_on_the_object_that_was_judged(server, s3, bucket):
    """On connections that stay, since the moment between judging and setting is a short one."""
    turn, opened = iter(range(10**9)), set()

    def asking(keys):
        connection = Connection(server.endpoint)

        def ask(method, headers=(), body=b"", query=""):
            request = Request(method, path_of(bucket, "k"), query, list(headers), body)
            if keys:
                Signer(*keys_of(keys)).sign(request, server.endpoint)
            else:
                request.set("host", server.endpoint.removeprefix("http://"))
            connection.send(request.to_bytes())
            return connection.read_response(method)
        return ask
    hers = asking(ALICE)

    def write():
        if next(turn) % 2:
            hers("PUT", body=b"private")
        else:
            hers("PUT", [("x-amz-grant-full-control", f"id={BOB.id}")], b"Bob's to open")

    def opener():
        his, anybody_s = asking(BOB), asking(None)

        def open_and_read():
            if his("PUT", [("x-amz-acl", "public-read")], query="acl").status == 200:
                opened.add(anybody_s("GET").body)
        return open_and_read
    taking_turns(write, opener(), opener(), seconds=4)
    assert b"private" not in opened


def test_an_object_that_appears_is_not_renamed_by_who_may_not_read_it(server, s3, bucket):
    iam, name = boto(server.endpoint, keys_of(ALICE), service="iam"), new_name("user")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:PutObject", "s3:DeleteObject", "s3:ListBucket"], "Resource": [arn(bucket), arn(bucket, "*")]}]}))
    pair = iam.create_access_key(UserName=name)["AccessKey"]
    signer = Signer(pair["AccessKeyId"], pair["SecretAccessKey"])

    def write():
        s3.put_object(Bucket=bucket, Key="closed/k", Body=b"private")
        s3.delete_object(Bucket=bucket, Key="closed/k")
    answers = set()

    def rename():
        request = Request("PUT", path_of(bucket, "open/k"), "renameObject", [("x-amz-rename-source", "closed/k")])
        answers.add(exchange(server.endpoint, signer.sign(request, server.endpoint)).status)
    taking_turns(write, rename, rename)
    assert answers == {403, 404}, answers


def test_tags_are_put_on_the_object_that_was_judged(server, s3, bucket):
    """A right to what is tagged so is none to tag what is not."""
    iam, name = boto(server.endpoint, keys_of(ALICE), service="iam"), new_name("user")
    iam.create_user(UserName=name)
    iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [
        {"Effect": "Allow", "Action": ["s3:PutObjectTagging", "s3:GetObject"], "Resource": arn(bucket, "*"),
         "Condition": {"StringEquals": {"s3:ExistingObjectTag/class": "open"}}}]}))
    pair = iam.create_access_key(UserName=name)["AccessKey"]
    client = boto(server.endpoint, (pair["AccessKeyId"], pair["SecretAccessKey"]))
    turn, read = iter(range(10**9)), set()

    def write():
        word = "closed" if next(turn) % 2 else "open"
        s3.put_object(Bucket=bucket, Key="k", Body=word.encode(), Tagging=f"class={word}")

    def tag_and_read():
        if tried(lambda: client.put_object_tagging(Bucket=bucket, Key="k", Tagging={"TagSet": [{"Key": "class", "Value": "open"}]})) is not None:
            read.add(tried(lambda: body_of(client, bucket, "k")))
    taking_turns(write, tag_and_read, tag_and_read, seconds=3)
    assert b"closed" not in read, read
