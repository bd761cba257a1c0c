"""Listings, both versions: order, prefixes, delimiters, pages, encoding; held against a plain model."""

import random

import pytest

from conftest import new_name
from harness.wire import Request, path_of, uri_encode
from support import ISO_DATE, assert_error, keys_in, prefixes_in, refused

NAMESPACE = "{http://s3.amazonaws.com/doc/2006-03-01/}"
KEYS = sorted(["a", "a/", "a/b", "a/b/c", "a/b/d", "a//x", "ab", "b/1", "b/2", "b/3/4", "c", "dir/", "dir/x", "é/ü", "z z/q", "z+z/q", "z%z/q",
               "foo+1/bar", "foo/bar", "x.y.z", "x.y.w", "~"], key=str.encode)


@pytest.fixture(scope="module")
def shelf(s3):
    """A bucket that is only read."""
    name = new_name("shelf")
    s3.create_bucket(Bucket=name)
    for key in KEYS:
        s3.put_object(Bucket=name, Key=key, Body=key.encode())
    return name


def model(prefix="", delimiter="", after="", keys=KEYS):
    """Keys and common prefixes, in one byte order, as S3 defines them, for keys behind `after`."""
    entries = []
    for key in keys:
        if not key.startswith(prefix) or key.encode() <= after.encode():
            continue
        cut = key.find(delimiter, len(prefix)) if delimiter else -1
        entry = ("prefix", key[:cut + len(delimiter)]) if cut >= 0 else ("key", key)
        # A marker that is a common prefix stands for all that is in it.
        if entry != ("prefix", after) and entry not in entries[-1:]:
            entries.append(entry)
    return entries


def agree(found, expected, after):
    """Servers differ about a marker in the middle of a common prefix: some list the prefix for what is left of it (we do),
    some pass it over. Everything else is the same everywhere."""
    assert found == expected or found == [entry for entry in expected if entry[1].encode() > after.encode()]


def entries_of(page):
    entries = [("key", key) for key in keys_in(page)] + [("prefix", prefix) for prefix in prefixes_in(page)]
    return sorted(entries, key=lambda entry: entry[1].encode())


def all_pages_v2(s3, bucket, size, **words):
    entries, token = [], {}
    while True:
        page = s3.list_objects_v2(Bucket=bucket, MaxKeys=size, **words, **token)
        assert page["KeyCount"] == len(entries_of(page)) <= size
        entries += entries_of(page)
        if not page["IsTruncated"]:
            assert "NextContinuationToken" not in page
            return entries
        assert page["KeyCount"] == size
        token = {"ContinuationToken": page["NextContinuationToken"]}


def all_pages_v1(s3, bucket, size, **words):
    entries, marker = [], {}
    while True:
        page = s3.list_objects(Bucket=bucket, MaxKeys=size, **words, **marker)
        found = entries_of(page)
        entries += found
        if not page["IsTruncated"]:
            assert "NextMarker" not in page
            return entries
        if words.get("Delimiter"):
            assert page["NextMarker"] == found[-1][1]
        marker = {"Marker": page.get("NextMarker") or found[-1][1]}


@pytest.mark.parametrize("delimiter", ["", "/", "b", "//", ".", "z", "+", "ü"])
@pytest.mark.parametrize("prefix", ["", "a", "a/", "a/b", "b/", "dir/", "nothing", "foo", "é/", "z z"])
def test_pages_of_every_size_agree_with_the_model(s3, shelf, prefix, delimiter):
    expected = model(prefix, delimiter)
    for size in (1, 2, 7, 1000):
        assert all_pages_v2(s3, shelf, size, Prefix=prefix, Delimiter=delimiter) == expected, size
        assert all_pages_v1(s3, shelf, size, Prefix=prefix, Delimiter=delimiter) == expected, size


@pytest.mark.parametrize("after", ["", "a", "a/", "a/b", "a/b/c", "b", "b/", "b/2", "b/zzz", "foo+", "foo/", "é", "zzzz", "\x7f"])
@pytest.mark.parametrize("delimiter", ["", "/"])
def test_a_listing_begins_behind_its_marker(s3, shelf, after, delimiter):
    expected = model("", delimiter, after)
    agree(entries_of(s3.list_objects_v2(Bucket=shelf, StartAfter=after, Delimiter=delimiter)), expected, after)
    agree(entries_of(s3.list_objects(Bucket=shelf, Marker=after, Delimiter=delimiter)), expected, after)


def test_the_order_is_of_bytes_before_encoding(s3, shelf):
    # Encoded, `+` is %2B and would sort before `/`; so it does as a byte.
    assert prefixes_in(s3.list_objects_v2(Bucket=shelf, Delimiter="/", Prefix="foo", EncodingType="url")) == ["foo%2B1/", "foo/"]


def test_encoding_type_url_encodes_keys_prefixes_and_words(send, shelf):
    root = send(Request("GET", path_of(shelf), "list-type=2&encoding-type=url&delimiter=%2B&prefix=z%20&start-after=%20%2B")).xml
    assert root.findtext(f"{NAMESPACE}EncodingType") == "url"
    assert root.findtext(f"{NAMESPACE}Prefix") in ("z%20", "z+")
    assert root.findtext(f"{NAMESPACE}Delimiter") == "%2B"
    assert root.findtext(f"{NAMESPACE}StartAfter") in ("%20%2B", "+%2B")
    assert [e.text for e in root.iter(f"{NAMESPACE}Key")] in (["z%20z/q"], ["z+z/q"])


def test_an_entry_has_what_s3_gives(send, s3, bucket):
    s3.put_object(Bucket=bucket, Key="k", Body=b"hello")
    entry = send(Request("GET", path_of(bucket), "list-type=2&fetch-owner=true")).xml.find(f"{NAMESPACE}Contents")
    assert entry.findtext(f"{NAMESPACE}Key") == "k"
    assert ISO_DATE.fullmatch(entry.findtext(f"{NAMESPACE}LastModified"))
    assert entry.findtext(f"{NAMESPACE}ETag") == '"5d41402abc4b2a76b9719d911017c592"'
    assert entry.findtext(f"{NAMESPACE}Size") == "5"
    assert entry.findtext(f"{NAMESPACE}StorageClass") == "STANDARD"
    assert entry.find(f"{NAMESPACE}Owner").findtext(f"{NAMESPACE}DisplayName") == "Alice"
    assert send(Request("GET", path_of(bucket), "list-type=2")).xml.find(f"{NAMESPACE}Contents/{NAMESPACE}Owner") is None
    assert send(Request("GET", path_of(bucket))).xml.find(f"{NAMESPACE}Contents/{NAMESPACE}Owner") is not None


def test_the_words_of_the_request_are_told_back(send, bucket):
    root = send(Request("GET", path_of(bucket))).xml
    for name, text in (("Name", bucket), ("Prefix", None), ("Marker", None), ("MaxKeys", "1000"), ("IsTruncated", "false")):
        element = root.find(NAMESPACE + name)
        assert element is not None and element.text == text, name
    assert root.find(f"{NAMESPACE}Delimiter") is None
    root = send(Request("GET", path_of(bucket), "list-type=2&delimiter=&prefix=&continuation-token=")).xml
    assert root.find(f"{NAMESPACE}Delimiter") is None and root.findtext(f"{NAMESPACE}KeyCount") == "0"
    assert root.find(f"{NAMESPACE}ContinuationToken") is not None


def test_no_keys_wanted_is_no_keys_and_no_more(s3, shelf):
    for page in (s3.list_objects_v2(Bucket=shelf, MaxKeys=0), s3.list_objects(Bucket=shelf, MaxKeys=0)):
        assert "Contents" not in page and page["IsTruncated"] is False and page["MaxKeys"] == 0


@pytest.mark.parametrize("query", ["max-keys=-1", "max-keys=x", "max-keys=1.5", "max-keys=9223372036854775808", "max-keys=", "encoding-type=base64",
                                   "list-type=2&continuation-token=rubbish", "list-type=2&continuation-token=" + "A" * 4000, "list-type=3",
                                   "list-type=2&max-keys=-1", "list-type=2&max-keys=x"])
def test_words_that_mean_nothing_are_refused(send, shelf, query):
    response = send(Request("GET", path_of(shelf), query))
    if query == "max-keys=":
        # As AWS: an empty number is no number given.
        assert response.status in (200, 400)
    else:
        assert_error(response, 400, "InvalidArgument")


def test_a_page_never_holds_more_than_a_thousand(s3, shelf):
    for page in (s3.list_objects_v2(Bucket=shelf, MaxKeys=2147483647), s3.list_objects(Bucket=shelf, MaxKeys=5000)):
        assert page["MaxKeys"] == 1000 and entries_of(page) == model()


def test_a_token_of_another_bucket_leaks_nothing(s3, shelf, bucket):
    token = s3.list_objects_v2(Bucket=shelf, MaxKeys=3)["NextContinuationToken"]
    s3.put_object(Bucket=bucket, Key="a", Body=b"")
    from botocore.exceptions import ClientError
    try:
        keys = keys_in(s3.list_objects_v2(Bucket=bucket, ContinuationToken=token))
    except ClientError as error:
        assert error.response["Error"]["Code"] == "InvalidArgument"
    else:
        assert set(keys) <= {"a"}


def test_control_characters_in_keys_leave_the_xml_well_formed(send, s3, bucket):
    keys = ["a\x01b", "a\x1fb", "a<b", "a&b", "a]]>b", 'a"b', "a\rb", "a\nb", "a\tb", "a\ufffeb"]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    root = send(Request("GET", path_of(bucket), "list-type=2&encoding-type=url")).xml
    listed = [e.text for e in root.iter(f"{NAMESPACE}Key")]
    assert listed == [uri_encode(key, safe="/-_.~*") for key in sorted(keys, key=str.encode)]
    plain = send(Request("GET", path_of(bucket), "list-type=2"))
    # Characters that XML 1.0 cannot hold go out as references, which every S3 client reads; nothing is raw.
    assert not [byte for byte in plain.body if byte < 32 and byte not in b"\t\n\r"]


def test_versions_of_a_bucket_that_never_had_any_are_null(s3, bucket):
    for i in range(5):
        s3.put_object(Bucket=bucket, Key=f"k{i}", Body=b"x")
    seen, words = [], {}
    while True:
        page = s3.list_object_versions(Bucket=bucket, MaxKeys=2, **words)
        seen += [(v["Key"], v["VersionId"], v["IsLatest"]) for v in page.get("Versions", [])]
        if not page["IsTruncated"]:
            break
        words = {"KeyMarker": page["NextKeyMarker"], "VersionIdMarker": page["NextVersionIdMarker"]}
    assert seen == [(f"k{i}", "null", True) for i in range(5)]


def test_random_keys_agree_with_the_model(s3, bucket):
    dice = random.Random(7)
    keys = sorted({"".join(dice.choice("ab/") for _ in range(dice.randint(1, 7))) for _ in range(150)}, key=str.encode)
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"")
    for _ in range(60):
        prefix = "".join(dice.choice("ab/") for _ in range(dice.randint(0, 2)))
        after = "".join(dice.choice("ab/") for _ in range(dice.randint(0, 4)))
        delimiter = dice.choice(["", "/", "a", "ab", "//"])
        expected = model(prefix, delimiter, after, keys)
        words = {"Prefix": prefix, "Delimiter": delimiter}
        agree(all_pages_v2(s3, bucket, dice.randint(1, 9), StartAfter=after, **words), expected, after)


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_a_hundred_thousand_keys_are_listed_in_even_pages(server, s3, bucket):
    import threading
    import time
    from conftest import keys_of
    from harness.clients import boto
    from harness.server import ALICE

    def fill(worker):
        client = boto(server.endpoint, keys_of(ALICE))
        for i in range(worker, 100_000, 16):
            client.put_object(Bucket=bucket, Key=f"p{i % 10}/{i:06}", Body=b"")
    threads = [threading.Thread(target=fill, args=(worker,)) for worker in range(16)]
    [thread.start() for thread in threads]
    [thread.join() for thread in threads]
    keys, times, token = [], [], {}
    while True:
        begin = time.perf_counter()
        page = s3.list_objects_v2(Bucket=bucket, **token)
        times.append(time.perf_counter() - begin)
        keys += keys_in(page)
        if not page["IsTruncated"]:
            break
        token = {"ContinuationToken": page["NextContinuationToken"]}
    assert keys == sorted(f"p{i % 10}/{i:06}" for i in range(100_000))
    print(f"first page {times[0]:.3f} s, slowest {max(times):.3f} s")
    page = s3.list_objects_v2(Bucket=bucket, Delimiter="/")
    assert prefixes_in(page) == [f"p{i}/" for i in range(10)] and not page["IsTruncated"]
    with refused("BucketNotEmpty"):
        s3.delete_bucket(Bucket=bucket)
