"""Every operation × every kind of authentication × good and bad signatures × every identity, held against the table in matrix.py.

All identities walk with the header; the owner walks with every kind. Nothing that was refused may have left a trace.
"""

import itertools
import json
from dataclasses import dataclass, replace

import pytest

from conftest import keys_of, new_name
from harness.clients import boto
from harness.server import ALICE, BOB, ROOT_KEYS
from harness.sigv4 import STREAMING_SIGNED, STREAMING_SIGNED_TRAILER, STREAMING_UNSIGNED_TRAILER, UNSIGNED, Signer, content_md5, crc32
from harness.wire import Request, exchange, path_of
from matrix import ACCOUNT, ALIASES, DENIED, ROWS, Row, expected
from support import absent, keys_in
from test_forms import form, request_of
from test_model import BUILT, BUILT_SUBRESOURCES, ELSEWHERE, MODEL, split

STREAMING = {"streaming": STREAMING_SIGNED, "streaming with trailer": STREAMING_SIGNED_TRAILER, "unsigned streaming": STREAMING_UNSIGNED_TRAILER}
KINDS = ["header", "unsigned payload", "presigned", "temporary", "temporary presigned", "delegation token", *STREAMING]
SIGNERS = ["other", "user", "owner", "root"]


@dataclass(frozen=True)
class Cell:
    kind: str
    identity: str
    # "good", "bad", or what is wrong besides the signature.
    signature: str = "good"

    def wanted(self, row):
        if self.signature == "unsigned header":
            return DENIED
        if self.signature == "wrong token":
            return "400 InvalidToken"
        return expected(row, self.kind if self.kind in row.but else self.identity, self.signature == "good")

    def __str__(self):
        return f"{self.kind}, {self.identity}, {self.signature}"


CELLS = [
    Cell("none", "anonymous"),
    *(Cell("header", identity, signature) for identity, signature in itertools.product(SIGNERS, ("good", "bad"))),
    *(Cell(kind, "owner", signature) for kind, signature in itertools.product(KINDS[1:], ("good", "bad"))),
    *(Cell(kind, "owner", "unsigned header") for kind in KINDS),
    *(Cell(kind, "owner", "wrong token") for kind in ("temporary", "temporary presigned", "delegation token")),
]


ABOUT_KEYS = sorted(name for name, row in ROWS.items() if "/k" in row.line and not row.owner.startswith("501"))
STRANGERS = [Cell("none", "anonymous"), Cell("header", "other"), Cell("header", "user")]

FORM_CELLS = [
    Cell("none", "anonymous"),
    *(Cell("form", identity, signature) for identity, signature in itertools.product(SIGNERS, ("good", "bad"))),
    *(Cell("temporary form", "owner", signature) for signature in ("good", "bad", "wrong token")),
]


@pytest.fixture(scope="session")
def identities(server):
    """Access key, secret and, if it is temporary, the token of each identity."""
    iam = boto(server.endpoint, keys_of(ALICE), service="iam")
    name = new_name("user")
    iam.create_user(UserName=name)
    pair = iam.create_access_key(UserName=name)["AccessKey"]
    session = boto(server.endpoint, keys_of(ALICE), service="sts").get_session_token()["Credentials"]
    asked = Signer(*keys_of(ALICE)).sign(Request("POST", "/delegation-token"), server.admin)
    token = json.loads(exchange(server.admin, asked).body)["Credentials"]
    return {
        "other": (*keys_of(BOB), None), "user": (pair["AccessKeyId"], pair["SecretAccessKey"], None), "owner": (*keys_of(ALICE), None),
        "root": (*ROOT_KEYS, None), "temporary": (session["AccessKeyId"], session["SecretAccessKey"], session["SessionToken"]),
        "delegation": (token["AccessKeyId"], token["SecretAccessKey"], token["SessionToken"]),
    }


class Stage:
    """A bucket of Alice's with all that a row asks for."""

    def __init__(self, server, s3, row):
        self.server, self.s3, self.row = server, s3, row
        self.bucket = new_name("matrix")
        s3.create_bucket(Bucket=self.bucket, ObjectLockEnabledForBucket=row.locked)
        s3.put_object(Bucket=self.bucket, Key="k", Body=b"untouched")
        self.words = {"bucket": self.bucket, "owner": ALICE.id, "account": boto(server.endpoint, keys_of(ALICE), service="sts").get_caller_identity()["Account"]}
        if "-empty" in row.line:
            s3.create_bucket(Bucket=f"{self.bucket}-empty")
        if "{upload}" in row.line:
            self.words["upload"] = s3.create_multipart_upload(Bucket=self.bucket, Key="k")["UploadId"]
            part = s3.upload_part(Bucket=self.bucket, Key="k", UploadId=self.words["upload"], PartNumber=1, Body=b"part")
            self.words["etag"] = part["ETag"]
        for name in row.after:
            answer = self.as_owner(self.request(ROWS[name]))
            assert answer.status < 300, f"{name}: {answer}"

    def request(self, row):
        path, query = (text.format(**self.words) for text in row.target)
        headers = [(name, value.format(**self.words)) for name, value in row.headers.items()]
        body = row.body.format(**self.words).encode() if row.body else b""
        if body.startswith(b"<"):
            headers.append(("content-md5", content_md5(body)))
        return Request(row.method, path, query, headers, body)

    def as_owner(self, request):
        return exchange(self.server.endpoint, Signer(*keys_of(ALICE)).sign(request, self.server.endpoint))

    def picture(self):
        """All that a request which is refused might have changed: what is in the bucket, and what the row reads or sets."""
        path, query = (text.format(**self.words) for text in self.row.target)
        asked = [(f"/{self.bucket}", "versions"), (f"/{self.bucket}", "uploads"), (f"/{self.bucket}/k", ""), (path, query.partition("&")[0])]
        account = [(name, value.format(**self.words)) for name, value in self.row.headers.items() if name in ACCOUNT]
        answers = [self.as_owner(Request("GET", *one, headers=list(account) if one == asked[-1] else [])) for one in asked]
        # An error tells its own request's id.
        return [(answer.status, answer.code or answer.body) for answer in answers]


def credentials(identities, cell):
    access_key, secret_key, token = identities[kind if (kind := cell.kind.split(" ")[0]) in ("temporary", "delegation") else cell.identity]
    if cell.signature == "bad":
        secret_key = secret_key[:-1] + ("x" if secret_key[-1] != "x" else "y")
    if cell.signature == "wrong token":
        token = token[:-1] + ("A" if token[-1] != "A" else "B")
    return access_key, secret_key, token


def signed(server, identities, request, cell):
    """The request as this cell sends it."""
    endpoint = server.endpoint
    request.set("Host", endpoint.removeprefix("http://"))
    if cell.kind == "none":
        if request.body or request.method in ("PUT", "POST"):
            request.set("Content-Length", str(len(request.body)))
        return request
    access_key, secret_key, token = credentials(identities, cell)
    signer = Signer(access_key, secret_key)
    if cell.kind.endswith("presigned"):
        signer.presign(request, endpoint, extra=[("X-Amz-Security-Token", token)] if token else ())
    elif cell.kind in STREAMING:
        body, mode = request.body, STREAMING[cell.kind]
        trailer = [] if mode == STREAMING_SIGNED else [("x-amz-checksum-crc32", crc32(body))]
        if trailer:
            request.without("content-md5")
        signer.streaming(request, endpoint, [body] if body else [], mode, trailer)
    else:
        if token:
            request.set("x-amz-security-token", token)
        signer.sign(request, endpoint, payload_hash=UNSIGNED if cell.kind == "unsigned payload" else None)
    if cell.signature == "unsigned header":
        request.set("x-amz-meta-late", "1")
    if request.method in ("PUT", "POST") and request.header("content-length") is None:
        request.set("Content-Length", "0")
    return request


def verdict(row, response, wanted):
    """What came, in the words of the table; an answer to HEAD has no code to tell."""
    if row.method == "HEAD":
        return f"{response.status}", wanted.split(" ")[0]
    code = response.code
    if b"<DeleteResult" in response.body:
        code = response.xml.findtext("{*}Error/{*}Code")
    return f"{response.status} {code or ''}".strip(), wanted


@pytest.mark.parametrize("name", sorted(ROWS))
def test_every_kind_of_authentication_and_every_identity(server, s3, identities, name):
    row = ROWS[name]
    wrong = []

    def judge(stage, cell):
        response = exchange(server.endpoint, signed(server, identities, stage.request(row), cell))
        came, wanted = verdict(row, response, cell.wanted(row))
        if came != wanted:
            wrong.append(f"{cell}: {came}, not {wanted}")
        if cell.signature == "unsigned header" and row.method != "HEAD" and "x-amz-meta-late" not in (response.xml.findtext("HeadersNotSigned") or ""):
            wrong.append(f"{cell}: {response}")
    stage = Stage(server, s3, row)
    before = stage.picture()
    let_through = [cell for cell in CELLS if cell.wanted(row) in ("200", "204")]
    for cell in CELLS:
        if cell not in let_through:
            judge(stage, cell)
    assert stage.picture() == before, "a request that was refused has changed something"
    for cell in let_through:
        judge(Stage(server, s3, row) if row.once else stage, cell)
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("name", ABOUT_KEYS)
def test_whoever_may_nothing_is_not_told_what_is_not_there(server, s3, identities, name):
    """Asked of a key that never was, and of an upload that has ended, they get the same answers."""
    row = ROWS[name]
    stage = Stage(server, s3, replace(row, after=()))
    if "upload" in stage.words:
        stage.words["upload"] = s3.create_multipart_upload(Bucket=stage.bucket, Key="absent")["UploadId"]
        s3.abort_multipart_upload(Bucket=stage.bucket, Key="absent", UploadId=stage.words["upload"])
    wrong = []
    for cell in STRANGERS:
        request = stage.request(row)
        request.path = request.path.removesuffix("/k") + "/absent"
        came, wanted = verdict(row, exchange(server.endpoint, signed(server, identities, request, cell)), cell.wanted(row))
        if came != wanted:
            wrong.append(f"{cell}: {came}, not {wanted}")
    assert not wrong, "\n".join(wrong)


# --- what is not signed as the others are ---

@pytest.fixture
def form_of(server, identities):
    """A form that makes the key `posted`, its policy signed by this cell's identity."""
    def form_of(bucket, cell):
        if cell.kind == "none":
            return form({"key": "posted"})
        access_key, secret_key, token = credentials(identities, cell)
        client = boto(server.endpoint, (access_key, secret_key), token=token, signature_version="s3v4")
        return form(client.generate_presigned_post(bucket, "posted")["fields"])
    return form_of


@pytest.mark.parametrize("cell", FORM_CELLS, ids=str)
def test_a_form_is_let_through_by_its_policy_alone(server, s3, bucket, form_of, cell):
    row = Row("POST /{bucket}", "204")
    answer = exchange(server.endpoint, request_of(bucket, form_of(bucket, cell)))
    came, wanted = verdict(row, answer, cell.wanted(row))
    assert came == wanted, str(answer)
    assert keys_in(s3.list_objects_v2(Bucket=bucket)) == (["posted"] if wanted == "204" else [])


@pytest.mark.parametrize("cell", [cell for cell in CELLS if cell.kind != "none"], ids=str)
def test_a_form_signed_as_a_request_is_not_taken(server, s3, bucket, identities, cell):
    """Its fields would be under no signature: not even the owner's."""
    row = Row("POST /{bucket}", "400 InvalidArgument")
    # What the header's signature shows to be wrong is told first; whoever is right is told of the form.
    wanted = cell.wanted(row) if cell.signature != "good" else row.owner
    answer = exchange(server.endpoint, signed(server, identities, request_of(bucket, form({"key": "posted"})), cell))
    assert verdict(row, answer, wanted) == (wanted, wanted), str(answer)
    assert absent(s3, bucket, "posted")


@pytest.mark.parametrize("cell", CELLS, ids=str)
def test_a_preflight_is_answered_to_everybody_by_the_rules_of_the_bucket(server, s3, bucket, identities, cell):
    """A browser cannot sign it; what looks like a signature neither opens nor closes anything."""
    asked = [("origin", "https://page.example"), ("access-control-request-method", "GET")]
    for wanted in (400, 200):
        answer = exchange(server.endpoint, signed(server, identities, Request("OPTIONS", path_of(bucket, "k"), headers=list(asked)), cell))
        assert answer.status == wanted, str(answer)
        rules = {"CORSRules": [{"AllowedMethods": ["GET"], "AllowedOrigins": ["*"]}]}
        s3.put_bucket_cors(Bucket=bucket, CORSConfiguration=rules)


# --- the table ---

OF_ACCOUNTS = {name for name in ROWS if "Account" in name}


def test_every_operation_has_a_row():
    """Those of botocore's model by their request lines, and three that it has not: a form, a preflight, an append."""
    assert set(MODEL.operation_names) - ELSEWHERE - set(ALIASES) == set(ROWS) - {"AppendObject"} - OF_ACCOUNTS
    for name in set(ROWS) - {"AppendObject"} - OF_ACCOUNTS:
        row, (method, of_object, query) = ROWS[name], split(name)
        path, has = row.target
        assert (row.method, path.count("/") == 2) == (method, of_object), name
        assert has.startswith(query), name
        assert row.owner.startswith("501") == (name not in BUILT and name not in BUILT_SUBRESOURCES), f"{name}: another table says otherwise"
    for old, new in ALIASES.items():
        assert split(old) == split(new)


def test_the_matrix_has_as_many_cells_as_is_said_of_it():
    """The number that is quoted. More operations or identities make it larger; nothing makes it smaller unnoticed."""
    of_forms, of_preflights = len(FORM_CELLS) + len(CELLS) - 1, len(CELLS)
    assert len(ROWS) * len(CELLS) + len(ABOUT_KEYS) * len(STRANGERS) + of_forms + of_preflights >= 4_369
