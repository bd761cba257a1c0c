"""Pages of other origins: preflights and actual requests."""

import pytest

from harness.wire import Request, exchange, path_of
from support import refused

RULES = [
    {"AllowedOrigins": ["http://*.example.com"], "AllowedMethods": ["PUT"], "AllowedHeaders": ["x-amz-*"], "ExposeHeaders": ["ETag"], "MaxAgeSeconds": 60},
    {"AllowedOrigins": ["*"], "AllowedMethods": ["GET"]},
]


@pytest.fixture
def page(server, s3, bucket):
    """Sends a request as a page of some origin does, without a signature."""
    s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": RULES})

    def page(method, origin=None, asks=None, sends=None, key=None):
        host = [("host", server.endpoint.removeprefix("http://"))]
        headers = host + [(name, value) for name, value in (("origin", origin), ("access-control-request-method", asks),
                                                     ("access-control-request-headers", sends)) if value]
        return exchange(server.endpoint, Request(method, path_of(bucket, key) if key else path_of(bucket), headers=headers))
    return page


def allowed(response):
    return response.header("access-control-allow-origin"), response.header("access-control-allow-methods")


def test_a_preflight_is_answered_by_the_first_rule_that_fits(page):
    granted = page("OPTIONS", "http://a.example.com", "PUT", "X-Amz-Date", key="k")
    assert granted.status == 200 and allowed(granted) == ("http://a.example.com", "PUT")
    assert granted.header("access-control-allow-headers") == "x-amz-date"
    assert granted.header("access-control-expose-headers") == "ETag"
    assert granted.header("access-control-max-age") == "60"
    assert "Origin" in granted.header("vary")
    anybody = page("OPTIONS", "http://other", "GET")
    assert anybody.status == 200 and allowed(anybody) == ("*", "GET")
    for origin, asks, sends in (("http://other", "PUT", None), ("http://a.example.com", "DELETE", None), ("http://a.example.com", "PUT", "x-other")):
        response = page("OPTIONS", origin, asks, sends)
        assert (response.status, response.code, allowed(response)) == (403, "AccessForbidden", (None, None))


def test_a_preflight_says_what_it_is_for(page, server, s3, bucket):
    assert page("OPTIONS").status == 400
    assert page("OPTIONS", "http://a.example.com").status == 400
    s3.delete_bucket_cors(Bucket=bucket)
    assert page("OPTIONS", "http://a.example.com", "GET").status == 400


def test_answers_of_all_kinds_tell_the_page_that_it_may_read_them(page, send, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"x")
    signed = send(Request("GET", path_of(bucket, "k"), headers=[("origin", "http://other")]))
    assert (signed.status, allowed(signed)) == (200, ("*", "GET"))
    refused_page = page("GET", "http://other", key="k")
    assert refused_page.status == 403 and allowed(refused_page) == ("*", "GET")
    assert allowed(page("PUT", "http://other", key="k")) == (None, None)
    assert allowed(page("GET", key="k")) == (None, None)


def test_rules_with_two_wildcards_are_refused(s3, bucket):
    rule = {"AllowedOrigins": ["*.a.*"], "AllowedMethods": ["GET"]}
    with refused("InvalidRequest", 400):
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration={"CORSRules": [rule]})
