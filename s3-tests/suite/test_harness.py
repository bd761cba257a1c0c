"""The signer that judges the server is itself held against the examples in Amazon's documentation."""

import datetime

from harness import sigv4
from harness.wire import Request

MOMENT = datetime.datetime(2013, 5, 24, tzinfo=datetime.timezone.utc)
EXAMPLE = sigv4.Signer("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY")
CHUNKS = [b"a" * 65536, b"a" * 1024]


def signatures(frames):
    return [frame.split(b"\r\n")[0].partition(b"chunk-signature=")[2].decode() for frame in frames if b"chunk-signature" in frame]


def test_a_get_with_a_range_has_the_documented_signature():
    request = Request("GET", "/test.txt", headers=[("host", "examplebucket.s3.amazonaws.com"), ("range", "bytes=0-9"),
                                                   ("x-amz-date", "20130524T000000Z")])
    EXAMPLE.sign(request, "http://unused", moment=MOMENT, signed=["host", "range", "x-amz-content-sha256", "x-amz-date"])
    assert request.header("authorization").endswith("f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41")


def test_a_presigned_url_has_the_documented_signature():
    request = Request("GET", "/test.txt", headers=[("host", "examplebucket.s3.amazonaws.com")])
    EXAMPLE.presign(request, "http://unused", expires=86400, moment=MOMENT)
    assert request.query.endswith("X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404")


def test_signed_chunks_have_the_documented_signatures():
    seed = "4f232c4386841ef735655705268965c44a0e4690baa4adea153f7db9fa80a0a9"
    frames = EXAMPLE.frames(seed, CHUNKS, sigv4.STREAMING_SIGNED, (), MOMENT)
    assert signatures(frames) == ["ad80c730a21e5b8d04586a2213dd63b9a0e99e0e2307b0ade35a65485a288648",
                                  "0055627c9e194cb4542bae2aa5492e3c1575bbb81b612b7d234b86a503ef5497",
                                  "b6c6ea8a5354eaf15b3cb7646744f4275b71ea724fed81ceb9323e279d449df9"]
    assert len(b"".join(frames)) == 66824


def test_a_signed_trailer_has_the_documented_signature():
    seed = "106e2a8a18243abcf37539882f36619c00e2dfc72633413f02d3b74544bfeb8e"
    trailer = [("x-amz-checksum-crc32c", "sOO8/Q==")]
    frames = EXAMPLE.frames(seed, CHUNKS, sigv4.STREAMING_SIGNED_TRAILER, trailer, MOMENT)
    assert signatures(frames) == ["b474d8862b1487a5145d686f57f013e54db672cee1c953b3010fb58501ef5aa2",
                                  "1c1344b170168f8e65b41376b44b20fe354e373826ccbbe2c1d40a8cae51e5c7",
                                  "2ca2aba2005185cf7159c6277faf83795951dd77a3a99e6e65d5c9f85863f992"]
    assert b"x-amz-trailer-signature:d81f82fc3505edab99d459891051a732e8730629a2e4a59689829ca17fe2e435\r\n" in frames[-1]


def test_checksums_have_their_published_check_values():
    values = {name: sigv4.CHECKSUMS[name](b"123456789") for name in ("crc32", "crc32c", "crc64nvme")}
    assert values == {"crc32": "y/Q5Jg==", "crc32c": "4waSgw==", "crc64nvme": "rosUhgp5mIg="}
