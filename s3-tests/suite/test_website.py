"""Buckets as websites: what a visitor of the website listener is shown, and where they are sent."""

import http.client
import json
from urllib.parse import quote, urlsplit

import pytest

from conftest import keys_of, new_name
from harness.clients import boto
from harness.server import ALICE, Server, free_port

DOMAIN = "website.example"


class Site:
    """A bucket of Alice's that everybody may read, and its website."""

    def __init__(self, server, port, client):
        self.server, self.port, self.client = server, port, client
        self.bucket = new_name("site")
        client.create_bucket(Bucket=self.bucket)

    def set(self, **configuration):
        self.client.put_bucket_website(Bucket=self.bucket, WebsiteConfiguration=configuration)
        return self

    def allow(self, *actions, prefix=""):
        resources = [f"arn:aws:s3:::{self.bucket}/{prefix}*", f"arn:aws:s3:::{self.bucket}"]
        statements = [{"Effect": "Allow", "Principal": "*", "Action": f"s3:{action}", "Resource": resources[action == "ListBucket"]}
                      for action in actions]
        self.client.put_bucket_policy(Bucket=self.bucket, Policy=json.dumps({"Version": "2012-10-17", "Statement": statements}))
        return self

    def put(self, key, body=b"", **more):
        self.client.put_object(Bucket=self.bucket, Key=key, Body=body, **more)

    @property
    def host(self):
        return f"{self.bucket}.{DOMAIN}:{self.port}"

    def ask(self, path="/", method="GET", host=None, **headers):
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=30)
        try:
            names = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, headers={"Host": host or self.host, **names})
            answer = connection.getresponse()
            return Answer(answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read())
        finally:
            connection.close()


class Answer:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    def __repr__(self):
        return f"{self.status} {self.headers} {self.body[:500]}"

    def is_page(self, status, code):
        """An error told as a page, as S3 writes it."""
        text = self.body.decode()
        assert self.status == status and self.headers["content-type"] == "text/html; charset=utf-8", self
        assert self.headers["x-amz-error-code"] == code and f"<title>{status} " in text and f"<li>Code: {code}</li>" in text, self
        assert f"<li>RequestId: {self.headers['x-amz-request-id']}</li>" in text
        return text

    def sends(self, status, location):
        assert (self.status, self.headers.get("location"), self.body) == (status, location, b""), self


@pytest.fixture(scope="module")
def websites(tmp_path_factory):
    port = free_port()
    config = f'[gateway]\nwebsite_addr = "127.0.0.1:{port}"\nwebsite_domains = ["{DOMAIN}"]\n'
    server = Server(tmp_path_factory.mktemp("server-websites"), config=config)
    server.start().wait_ready()
    yield server, port
    assert server.stop() == 0, server.log_tail(15)


@pytest.fixture
def empty(websites):
    server, port = websites
    return Site(server, port, boto(server.endpoint, keys_of(ALICE)))


INDEX = {"IndexDocument": {"Suffix": "index.html"}}


@pytest.fixture
def site(empty):
    empty.set(**INDEX).allow("GetObject")
    empty.put("index.html", b"<h1>home</h1>", ContentType="text/html", Metadata={"a": "1"})
    return empty


def test_a_folder_is_answered_by_its_index(site):
    site.put("docs/index.html", b"docs")
    site.put("docs/a b.txt", b"text", ContentType="text/plain", CacheControl="no-cache")
    home = site.ask("/")
    assert (home.status, home.body, home.headers["content-type"], home.headers["x-amz-meta-a"]) == (200, b"<h1>home</h1>", "text/html", "1")
    assert site.ask("/docs/").body == b"docs"
    text = site.ask("/docs/a%20b.txt?versionId=ignored&x=1")
    assert (text.body, text.headers["content-type"], text.headers["cache-control"]) == (b"text", "text/plain", "no-cache")
    head = site.ask("/docs/a%20b.txt", "HEAD")
    assert (head.status, head.body, head.headers["content-length"], head.headers["etag"]) == (200, b"", "4", text.headers["etag"])


def test_a_folder_without_its_slash_is_sent_to_itself(site):
    site.put("a folder/index.html", b"inside")
    site.ask("/a%20folder").sends(302, "/a%20folder/")
    site.ask("/a%20folder", "HEAD").sends(302, "/a%20folder/")
    # A visitor is kept here, whatever the folder is called.
    site.put("/evil.example/index.html", b"still here")
    site.ask("//evil.example").sends(302, "/%2Fevil.example/")
    assert site.ask("/%2Fevil.example/").body == b"still here"
    # An object of that name is itself.
    site.put("a folder", b"an object")
    assert site.ask("/a%20folder").body == b"an object"


def test_a_folder_whose_index_nobody_may_read_is_not_told_of(site):
    site.put("secret/index.html", b"inside")
    site.allow("GetObject", prefix="index")
    site.ask("/secret").is_page(403, "AccessDenied")
    site.ask("/secret/").is_page(403, "AccessDenied")
    assert site.ask("/").status == 200


def test_a_visitor_is_anybody_and_is_told_of_absence_only_if_they_may_list(site):
    site.put("private/k", b"x")
    site.ask("/absent").is_page(403, "AccessDenied")
    site.allow("GetObject", "ListBucket")
    assert "<li>Key: absent</li>" in site.ask("/absent").is_page(404, "NoSuchKey")
    site.client.delete_bucket_policy(Bucket=site.bucket)
    site.ask("/").is_page(403, "AccessDenied")
    # Nor does a signature make anybody of a visitor.
    site.ask("/", Authorization="AWS4-HMAC-SHA256 Credential=x").is_page(403, "AccessDenied")
    # The object's own ACL lets them in.
    site.client.put_object_acl(Bucket=site.bucket, Key="index.html", ACL="public-read")
    assert site.ask("/").body == b"<h1>home</h1>"


def test_pages_show_what_was_asked_for_as_text(site):
    site.allow("GetObject", "ListBucket")
    script = "<script>alert('&\")</script>"
    page = site.ask("/" + quote(script)).is_page(404, "NoSuchKey")
    assert "<script>" not in page and "<li>Key: &lt;script&gt;alert(&#39;&amp;&quot;)&lt;/script&gt;</li>" in page


@pytest.mark.parametrize("method", ["PUT", "POST", "DELETE", "OPTIONS"])
def test_a_website_is_read_and_nothing_else(site, method):
    answer = site.ask("/index.html", method)
    answer.is_page(405, "MethodNotAllowed")
    assert answer.headers["allow"] == "GET, HEAD"
    assert site.ask("/").status == 200


def test_a_bucket_is_found_by_a_name_of_the_domain_or_by_its_own_and_nowhere_else(site):
    for host in (f"{site.bucket}.{DOMAIN}", f"{site.bucket}.{DOMAIN.upper()}:80", site.bucket, f"{site.bucket}:{site.port}"):
        assert site.ask(host=host).body == b"<h1>home</h1>", host
    for host in (f"127.0.0.1:{site.port}", DOMAIN, f"other.{site.bucket}", "localhost", "no_bucket"):
        site.ask(host=host).is_page(404, "NoSuchBucket")
    # The other listener knows nothing of websites.
    path = urlsplit(site.server.endpoint)
    connection = http.client.HTTPConnection(path.hostname, path.port, timeout=30)
    connection.request("GET", "/", headers={"Host": site.host})
    assert connection.getresponse().getheader("content-type") == "application/xml"
    connection.close()


def test_a_bucket_that_is_no_website_says_so(empty):
    empty.allow("GetObject").put("index.html", b"x")
    empty.ask("/index.html").is_page(404, "NoSuchWebsiteConfiguration")
    assert empty.ask("/index.html", "HEAD").body == b""


def test_an_error_has_the_owners_page_and_its_own_status(site):
    site.set(**INDEX, ErrorDocument={"Key": "errors/all.html"})
    site.put("errors/all.html", b"sorry", ContentType="text/html")
    for path in ("/absent", "/absent/"):
        answer = site.ask(path, Range="bytes=1-2")
        assert (answer.status, answer.body, answer.headers["content-type"]) == (403, b"sorry", "text/html"), answer
    site.allow("GetObject", "ListBucket")
    assert site.ask("/absent").status == 404
    head = site.ask("/absent", "HEAD")
    assert (head.status, head.body, head.headers["content-length"]) == (404, b"", "5")
    # It is the page that was asked for, not a way to another one.
    site.put("errors/all.html", b"sorry", WebsiteRedirectLocation="/elsewhere")
    answer = site.ask("/absent")
    assert (answer.status, answer.body, answer.headers.get("location")) == (404, b"sorry", None)
    site.client.delete_object(Bucket=site.bucket, Key="errors/all.html")
    page = site.ask("/absent").is_page(404, "NoSuchKey")
    assert "An Error Occurred While Attempting to Retrieve a Custom Error Document" in page and "<li>Key: errors/all.html</li>" in page


def test_everything_is_sent_to_another_host(empty):
    empty.set(RedirectAllRequestsTo={"HostName": "other.example"})
    empty.ask("/a/b%20c?q=1").sends(301, "http://other.example/a/b%20c")
    empty.set(RedirectAllRequestsTo={"HostName": "other.example", "Protocol": "https"})
    empty.ask("/").sends(301, "https://other.example/")
    empty.ask("/x", "HEAD").sends(301, "https://other.example/x")


def test_rules_send_by_prefix_and_by_error(site):
    site.allow("GetObject", "ListBucket")
    site.put("docs/there", b"x")
    site.set(**INDEX, ErrorDocument={"Key": "index.html"}, RoutingRules=[
        {"Condition": {"KeyPrefixEquals": "docs/"}, "Redirect": {"ReplaceKeyPrefixWith": "documents/"}},
        {"Condition": {"KeyPrefixEquals": "pics/", "HttpErrorCodeReturnedEquals": "404"}, "Redirect": {
            "HostName": "pics.example", "Protocol": "https", "HttpRedirectCode": "307", "ReplaceKeyWith": "gone?why=1"}},
        {"Condition": {"HttpErrorCodeReturnedEquals": "404"}, "Redirect": {"ReplaceKeyPrefixWith": "#!/"}},
    ])
    site.ask("/docs/there").sends(301, f"http://{site.host}/documents/there")
    site.ask("/pics/cat").sends(307, "https://pics.example/gone?why=1")
    site.ask("/a b".replace(" ", "%20")).sends(301, f"http://{site.host}/#!/a%20b")
    site.put("pics/cat", b"meow")
    assert site.ask("/pics/cat").body == b"meow" and site.ask("/").status == 200


def test_a_rule_without_a_condition_takes_every_request(site):
    site.set(**INDEX, RoutingRules=[{"Redirect": {"HostName": "h.example", "HttpRedirectCode": "302"}}])
    site.ask("/any").sends(302, "http://h.example/any")


def test_an_object_sends_its_readers_elsewhere(site):
    site.put("old", WebsiteRedirectLocation="/new place")
    site.put("away", WebsiteRedirectLocation="https://other.example/x?y=1")
    site.put("new place", b"here")
    site.ask("/old").sends(301, "/new place")
    site.ask("/away", "HEAD").sends(301, "https://other.example/x?y=1")
    # It is not its bytes that a visitor is sent away with: a part of them and their state do not matter.
    site.ask("/old", Range="bytes=5-").sends(301, "/new place")
    etag = site.client.head_object(Bucket=site.bucket, Key="old")["ETag"]
    site.ask("/old", If_None_Match=etag).sends(301, "/new place")
    site.ask("/old", If_Match='"00000000000000000000000000000000"').sends(301, "/new place")
    # Whoever reads it as an object is told and reads it.
    assert site.client.get_object(Bucket=site.bucket, Key="old")["WebsiteRedirectLocation"] == "/new place"
    # A copy goes where it is told itself, and nowhere if it is told nothing.
    site.client.copy_object(Bucket=site.bucket, Key="copy", CopySource={"Bucket": site.bucket, "Key": "old"})
    assert site.ask("/copy").status == 200
    site.client.copy_object(Bucket=site.bucket, Key="copy", CopySource={"Bucket": site.bucket, "Key": "old"}, WebsiteRedirectLocation="/x")
    site.ask("/copy").sends(301, "/x")
    site.client.copy_object(Bucket=site.bucket, Key="copy", CopySource={"Bucket": site.bucket, "Key": "copy"}, WebsiteRedirectLocation="/y")
    site.ask("/copy").sends(301, "/y")


def test_browsers_read_ranges_and_revalidate(site):
    body = bytes(range(256)) * 4000
    site.put("video", body)
    part = site.ask("/video", Range="bytes=1000-1999")
    assert (part.status, part.body, part.headers["content-range"]) == (206, body[1000:2000], f"bytes 1000-1999/{len(body)}")
    whole = site.ask("/video")
    assert whole.body == body
    again = site.ask("/video", If_None_Match=whole.headers["etag"])
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", whole.headers["etag"])
    site.ask("/video", If_Match='"00000000000000000000000000000000"').is_page(412, "PreconditionFailed")
    site.ask("/video", Range="bytes=99999999-").is_page(416, "InvalidRange")


def test_pages_of_other_origins_are_told_what_they_may(site):
    rule = {"AllowedOrigins": ["http://page.example"], "AllowedMethods": ["GET"], "ExposeHeaders": ["ETag"]}
    site.client.put_bucket_cors(Bucket=site.bucket, CORSConfiguration={"CORSRules": [rule]})
    assert site.ask("/", Origin="http://page.example").headers["access-control-allow-origin"] == "http://page.example"
    assert site.ask("/absent", Origin="http://page.example").headers["access-control-expose-headers"] == "ETag"
    assert "access-control-allow-origin" not in site.ask("/", Origin="http://other.example").headers


def test_what_is_encrypted_by_the_store_is_shown_and_what_needs_a_key_or_a_name_is_not(site):
    site.put("store", b"x" * 100_000, ServerSideEncryption="AES256")
    assert site.ask("/store").body == b"x" * 100_000
    site.put("own", b"x", SSECustomerAlgorithm="AES256", SSECustomerKey="k" * 32)
    site.ask("/own").is_page(400, "InvalidRequest")


def test_every_visit_is_one_line_of_the_audit(tmp_path, new_server):
    port, audit = free_port(), tmp_path / "audit.json"
    server = new_server(config=f'[gateway]\nwebsite_addr = "127.0.0.1:{port}"\n\n[log]\naudit = "{audit}"\n')
    server.start().wait_ready()
    site = Site(server, port, boto(server.endpoint, keys_of(ALICE)))
    site.ask("/some/key", host=site.bucket).is_page(404, "NoSuchWebsiteConfiguration")
    server.stop()
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    [visit] = [line for line in lines if line.get("operation") == "Website"]
    assert (visit["bucket"], visit["key"], visit["status"]) == (site.bucket, "some/key", 404)

