"""SigV2 written from its specification: an HMAC-SHA1 over a part of the request."""

import base64
import email.utils
import hashlib
import hmac
import time
from dataclasses import dataclass
from urllib.parse import urlsplit


@dataclass(frozen=True)
class SignerV2:
    access_key: str
    secret_key: str

    def hmac(self, text):
        digest = hmac.new(self.secret_key.encode(), text.encode(), hashlib.sha1).digest()
        return base64.b64encode(digest).decode()

    def text(self, request, resource=None):
        """What is signed. `resource` is the path, if the bucket is not in it."""
        ours = sorted((name.lower(), value.strip()) for name, value in request.headers if name.lower().startswith("x-amz-"))
        date = "" if request.header("x-amz-date") else request.header("date") or ""
        lines = [request.method, request.header("content-md5") or "", request.header("content-type") or "", date]
        return "\n".join([*lines, *(f"{name}:{value}" for name, value in ours), resource or request.path])

    def sign(self, request, endpoint, moment=None, resource=None):
        """Adds what a request needs, and Authorization. Sub-resources are the caller's: they go into `resource`."""
        if request.header("host") is None:
            request.set("Host", urlsplit(endpoint).netloc)
        if request.body and request.header("content-length") is None:
            request.set("Content-Length", str(len(request.body)))
        if request.header("date") is None:
            request.set("Date", email.utils.formatdate(moment or time.time(), usegmt=True))
        return request.set("Authorization", f"AWS {self.access_key}:{self.hmac(self.text(request, resource))}")
