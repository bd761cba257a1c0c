"""SigV4 written from its specification, with every step open to a test that wants it wrong.

Nothing here is shared with the server or with the AWS tools, so that agreement means something.
"""

import base64
import datetime
import hashlib
import hmac
import zlib
from dataclasses import dataclass, replace
from urllib.parse import unquote, urlsplit

from .wire import Request, uri_encode

EMPTY_HASH = hashlib.sha256(b"").hexdigest()
UNSIGNED = "UNSIGNED-PAYLOAD"
STREAMING_SIGNED = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"
STREAMING_SIGNED_TRAILER = "STREAMING-AWS4-HMAC-SHA256-PAYLOAD-TRAILER"
STREAMING_UNSIGNED_TRAILER = "STREAMING-UNSIGNED-PAYLOAD-TRAILER"
ALGORITHM = "AWS4-HMAC-SHA256"


def sha256(data):
    return hashlib.sha256(data).hexdigest()


def now():
    return datetime.datetime.now(datetime.timezone.utc)


def amz_date(moment):
    return moment.strftime("%Y%m%dT%H%M%SZ")


def canonical_query(query):
    """Sorted by encoded name, then value; `+` is a plus, as the specification has it."""
    pairs = []
    for part in query.split("&") if query else []:
        name, _, value = part.partition("=")
        pairs.append((uri_encode(unquote(name)), uri_encode(unquote(value))))
    return "&".join(f"{name}={value}" for name, value in sorted(pairs))


def _text(value):
    return value.decode("utf-8") if isinstance(value, bytes) else value


@dataclass(frozen=True)
class Signer:
    access_key: str
    secret_key: str
    region: str = "us-east-1"
    service: str = "s3"

    def but(self, **changes):
        return replace(self, **changes)

    def scope(self, moment):
        return f"{moment:%Y%m%d}/{self.region}/{self.service}/aws4_request"

    def key(self, moment):
        key = ("AWS4" + self.secret_key).encode()
        for part in self.scope(moment).split("/"):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        return key

    def mac(self, moment, text):
        return hmac.new(self.key(moment), text.encode("utf-8"), hashlib.sha256).hexdigest()

    def canonical_request(self, request, signed, payload_hash):
        lines = [request.method, request.path, canonical_query(request.query)]
        for name in signed:
            values = [" ".join(_text(value).split()) for n, value in request.headers if n.lower() == name]
            lines.append(f"{name}:{','.join(values)}")
        return "\n".join(lines + ["", ";".join(signed), payload_hash])

    def string_to_sign(self, request, signed, payload_hash, moment):
        hashed = sha256(self.canonical_request(request, signed, payload_hash).encode("utf-8"))
        return "\n".join([ALGORITHM, amz_date(moment), self.scope(moment), hashed])

    # --- header ---

    def sign(self, request, endpoint, payload_hash=None, moment=None, signed=None):
        """Signs with the Authorization header, in place; returns the request. Sets host and x-amz-* headers if absent."""
        moment = moment or now()
        if request.header("host") is None:
            request.set("host", urlsplit(endpoint).netloc)
        if request.header("x-amz-date") is None:
            request.set("x-amz-date", amz_date(moment))
        if request.header("x-amz-content-sha256") is None:
            request.set("x-amz-content-sha256", payload_hash or sha256(request.body))
        payload_hash = payload_hash or _text(request.header("x-amz-content-sha256"))
        if signed is None:
            signed = sorted({n.lower() for n, _ in request.headers
                             if n.lower() in ("host", "content-md5", "content-type") or n.lower().startswith("x-amz-")})
        signature = self.mac(moment, self.string_to_sign(request, signed, payload_hash, moment))
        request.set("Authorization", f"{ALGORITHM} Credential={self.access_key}/{self.scope(moment)}, "
                                     f"SignedHeaders={';'.join(signed)}, Signature={signature}")
        if (request.body or request.method in ("PUT", "POST")) and request.header("content-length") is None \
                and request.header("transfer-encoding") is None:
            request.set("Content-Length", str(len(request.body)))
        return request

    # --- query ---

    def presign(self, request, endpoint, expires=300, moment=None, signed=None, extra=()):
        """Signs in the query, in place; `extra` are more parameters, signed with the rest."""
        moment = moment or now()
        if request.header("host") is None:
            request.set("host", urlsplit(endpoint).netloc)
        signed = signed or sorted(n.lower() for n, _ in request.headers if n.lower() == "host" or n.lower().startswith("x-amz-"))
        parameters = [("X-Amz-Algorithm", ALGORITHM), ("X-Amz-Credential", f"{self.access_key}/{self.scope(moment)}"),
                      ("X-Amz-Date", amz_date(moment)), ("X-Amz-Expires", str(expires)),
                      ("X-Amz-SignedHeaders", ";".join(signed)), *extra]
        added = "&".join(f"{name}={uri_encode(value)}" for name, value in parameters if value is not None)
        request.query = f"{request.query}&{added}" if request.query else added
        signature = self.mac(moment, self.string_to_sign(request, signed, UNSIGNED, moment))
        request.query += f"&X-Amz-Signature={signature}"
        if request.body and request.header("content-length") is None:
            request.set("Content-Length", str(len(request.body)))
        return request

    # --- aws-chunked ---

    def streaming(self, request, endpoint, chunks, mode=STREAMING_SIGNED, trailer=(), moment=None, frame=None):
        """Signs an upload in aws-chunked framing, in place. `chunks` are the decoded pieces, `trailer` name-value pairs.

        `frame(frames)` may falsify the list of frames (bytes) before they are joined into the body.
        """
        moment = moment or now()
        request.set("x-amz-content-sha256", mode)
        request.set("x-amz-decoded-content-length", str(sum(len(chunk) for chunk in chunks))) \
            if request.header("x-amz-decoded-content-length") is None else None
        if request.header("content-encoding") is None:
            request.set("content-encoding", "aws-chunked")
        if trailer and request.header("x-amz-trailer") is None:
            request.set("x-amz-trailer", ",".join(name for name, _ in trailer))
        self.sign(request, endpoint, moment=moment)
        seed = _text(request.header("Authorization")).rpartition("Signature=")[2]
        frames = self.frames(seed, chunks, mode, trailer, moment)
        request.body = b"".join(frame(frames) if frame else frames)
        if request.header("transfer-encoding") is None:
            request.set("Content-Length", str(len(request.body)))
        return request

    def frames(self, seed, chunks, mode, trailer, moment):
        """One frame a chunk, the final empty chunk, and the trailer with the closing line."""
        signed = mode != STREAMING_UNSIGNED_TRAILER
        previous, frames = seed, []
        for chunk in [*chunks, b""]:
            extension = ""
            if signed:
                previous = self.mac(moment, "\n".join(
                    ["AWS4-HMAC-SHA256-PAYLOAD", amz_date(moment), self.scope(moment), previous, EMPTY_HASH, sha256(chunk)]))
                extension = f";chunk-signature={previous}"
            # The empty last chunk is followed by the trailer, where there is one, instead of an empty line.
            ending = b"\r\n" if chunk or mode == STREAMING_SIGNED else b""
            frames.append(f"{len(chunk):x}{extension}\r\n".encode() + chunk + ending)
        if mode != STREAMING_SIGNED:
            frames.append(self.trailer_frame(previous, trailer, signed, moment))
        return frames

    def trailer_frame(self, previous, trailer, signed, moment):
        text = "".join(f"{name}:{value}\r\n" for name, value in trailer)
        if signed:
            hashed = sha256("".join(f"{name}:{value}\n" for name, value in trailer).encode())
            signature = self.mac(moment, "\n".join(
                ["AWS4-HMAC-SHA256-TRAILER", amz_date(moment), self.scope(moment), previous, hashed]))
            text += f"x-amz-trailer-signature:{signature}\r\n"
        return (text + "\r\n").encode()


def crc32(data):
    return base64.b64encode(zlib.crc32(data).to_bytes(4, "big")).decode()


def _table(polynomial, bits):
    table = []
    for byte in range(256):
        value = byte
        for _ in range(8):
            value = (value >> 1) ^ (polynomial if value & 1 else 0)
        table.append(value)
    return table


_CRC32C = _table(0x82F63B78, 32)
_CRC64NVME = _table(0x9A6C9329AC4BC9B5, 64)


def _crc(table, bits, data):
    value = (1 << bits) - 1
    for byte in data:
        value = table[(value ^ byte) & 0xFF] ^ (value >> 8)
    value ^= (1 << bits) - 1
    return base64.b64encode(value.to_bytes(bits // 8, "big")).decode()


def crc32c(data):
    return _crc(_CRC32C, 32, data)


def crc64nvme(data):
    return _crc(_CRC64NVME, 64, data)


def b64_digest(name, data):
    return base64.b64encode(hashlib.new(name, data).digest()).decode()


# The five checksums of S3 by the name that headers carry.
CHECKSUMS = {
    "crc32": crc32,
    "crc32c": crc32c,
    "crc64nvme": crc64nvme,
    "sha1": lambda data: b64_digest("sha1", data),
    "sha256": lambda data: b64_digest("sha256", data),
}


def content_md5(data):
    return b64_digest("md5", data)


def put(bucket, key, body=b"", **headers):
    """A PutObject, unsigned yet."""
    from .wire import path_of
    return Request("PUT", path_of(bucket, key), headers=[(n.replace("_", "-"), v) for n, v in headers.items()], body=body)
