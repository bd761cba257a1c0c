"""How a request names its bucket and key: path, virtual host, and every way of confusing the two."""

import pytest

from conftest import DOMAIN, keys_of, new_name
from harness.clients import boto
from harness.server import ALICE
from harness.wire import Request, exchange, path_of
from support import assert_error, body_of


@pytest.fixture
def ask(server, signer):
    """Signs for a host of our choice and sends to the server, whatever DNS says."""
    def ask(method, host, path="/", query="", body=b"", headers=()):
        request = Request(method, path, query, [("host", host), *headers], body)
        return exchange(server.endpoint, signer.sign(request, server.endpoint))
    return ask


def test_a_bucket_may_be_a_virtual_host(ask, s3, bucket):
    host = f"{bucket}.{DOMAIN}"
    assert ask("PUT", host, "/dir/k", body=b"virtual").status == 200
    assert body_of(s3, bucket, "dir/k") == b"virtual"
    assert ask("GET", host, "/dir/k").body == b"virtual"
    assert ask("GET", f"{host}:80", "/dir/k").body == b"virtual"
    assert ask("GET", host.upper().replace(bucket.upper(), bucket), "/dir/k").body == b"virtual"
    assert b"<Key>dir/k</Key>" in ask("GET", host, "/", "list-type=2").body
    assert ask("HEAD", host).status == 200
    assert ask("DELETE", host, "/dir/k").status == 204
    assert_error(ask("GET", host, "/dir/k"), 404, "NoSuchKey")


def test_the_domain_itself_is_the_service(ask, bucket):
    assert b"ListAllMyBucketsResult" in ask("GET", DOMAIN).body
    assert ask("HEAD", DOMAIN, path_of(bucket)).status == 200


def test_a_bucket_made_through_its_host_is_that_bucket(ask, s3):
    name = new_name("virtual")
    assert ask("PUT", f"{name}.{DOMAIN}").status == 200
    s3.head_bucket(Bucket=name)
    assert ask("DELETE", f"{name}.{DOMAIN}").status == 204


def test_the_path_never_overrides_the_host(ask, s3, bucket):
    other = new_name()
    s3.create_bucket(Bucket=other)
    s3.put_object(Bucket=other, Key="k", Body=b"of the other")
    # In the bucket of the host this is a key with a slash, not the other bucket.
    assert_error(ask("GET", f"{bucket}.{DOMAIN}", path_of(other, "k")), 404, "NoSuchKey")
    assert ask("PUT", f"{bucket}.{DOMAIN}", path_of(other, "k"), body=b"mine").status == 200
    assert body_of(s3, other, "k") == b"of the other"
    assert body_of(s3, bucket, f"{other}/k") == b"mine"


def test_a_name_that_only_looks_like_our_domain_is_none_of_ours(ask, bucket):
    # Path addressing applies, as for any name that a proxy or a hosts file may have given us.
    assert ask("HEAD", f"evil{DOMAIN}", path_of(bucket)).status == 200
    assert ask("HEAD", f"{DOMAIN}.evil.example", path_of(bucket)).status == 200


def test_boto3_can_use_virtual_hosts(server, bucket):
    """Through a proxy, which is the endpoint itself: the name need not resolve."""
    client = boto(f"http://{DOMAIN}", keys_of(ALICE), s3={"addressing_style": "virtual"}, proxies={"http": server.endpoint})
    client.put_object(Bucket=bucket, Key="k", Body=b"x")
    assert body_of(client, bucket, "k") == b"x"
    assert client.list_objects_v2(Bucket=bucket)["KeyCount"] == 1


@pytest.mark.parametrize("hosts, status", [([], 400), (["a.example", "b.example"], 400), ([""], 400), (["a b"], 400), (["a\x01b"], 400), (["a/b"], 400), (["a@b"], 400)])
def test_a_host_that_is_none_or_two_is_refused(server, bucket, hosts, status):
    request = Request("GET", path_of(bucket), headers=[("host", host) for host in hosts])
    response = exchange(server.endpoint, request)
    assert response.status in (400, 403) and response.status == status, str(response)


# --- paths ---

PATHS = ["/{b}/../{o}/k", "/{b}/%2e%2e/{o}/k", "/{b}/..%2f{o}%2fk", "/{b}/%252e%252e/{o}/k", "/{b}/..%5c{o}%5ck", "/{b}//../{o}/k",
         "/{b}/./{o}/k", "/{b}/%2f..%2f{o}%2fk", "/{b}/%2e/k", "/{b};/../{o}/k"]


@pytest.mark.parametrize("path", PATHS)
def test_no_path_leads_out_of_its_bucket(server, signer, s3, bucket, path):
    other = new_name()
    s3.create_bucket(Bucket=other)
    s3.put_object(Bucket=other, Key="k", Body=b"secret of the other")
    request = Request("GET", path.format(b=bucket, o=other))
    response = exchange(server.endpoint, signer.sign(request, server.endpoint))
    assert b"secret" not in response.body
    assert (response.status, response.code) in ((404, "NoSuchKey"), (400, "InvalidURI"), (400, "InvalidBucketName"), (404, "NoSuchBucket")), str(response)


def test_a_path_is_decoded_once(server, signer, s3, bucket):
    s3.put_object(Bucket=bucket, Key="a%2Fb", Body=b"percent")
    s3.put_object(Bucket=bucket, Key="a/b", Body=b"slash")
    s3.put_object(Bucket=bucket, Key="a+b", Body=b"plus")
    s3.put_object(Bucket=bucket, Key="a b", Body=b"space")
    for path, body in (("a%252Fb", b"percent"), ("a/b", b"slash"), ("a%2Bb", b"plus"), ("a%20b", b"space")):
        response = exchange(server.endpoint, signer.sign(Request("GET", f"/{bucket}/{path}"), server.endpoint))
        assert response.body == body, path


@pytest.mark.parametrize("path", ["%zz", "%", "%4", "%ff", "%c3%28", "a%00b", "%ed%a0%80", "%c0%ae", "%f8%88%80%80%80"])
def test_a_path_that_is_no_text_is_refused(server, signer, bucket, path):
    request = Request("GET", f"/{bucket}/{path}")
    assert_error(exchange(server.endpoint, signer.sign(request, server.endpoint)), 400, "InvalidURI")


@pytest.mark.parametrize("query", ["a=%zz", "prefix=%ff", "prefix=%00"])
def test_a_query_that_is_no_text_is_refused(server, signer, bucket, query):
    response = exchange(server.endpoint, signer.sign(Request("GET", path_of(bucket), query), server.endpoint))
    assert response.status in (400, 403) and response.code in ("InvalidURI", "InvalidArgument", "SignatureDoesNotMatch"), str(response)


@pytest.mark.parametrize("name", ["admin", "metrics", "health", "secret", "status", "minio"])
def test_a_bucket_may_have_the_name_of_a_route(s3, name):
    s3.create_bucket(Bucket=name)
    s3.put_object(Bucket=name, Key="live", Body=b"an object")
    assert body_of(s3, name, "live") == b"an object"
    s3.delete_object(Bucket=name, Key="live")
    s3.delete_bucket(Bucket=name)


def test_nothing_but_s3_answers_on_the_s3_port(server):
    for path in ("/metrics", "/health/live", "/health/ready", "/status", "/secret"):
        response = exchange(server.endpoint, Request("GET", path, headers=[("host", "h")]))
        assert response.status in (403, 404) and response.code in ("AccessDenied", "NoSuchBucket"), str(response)
