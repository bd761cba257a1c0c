"""HTTP at the socket: exactly the bytes that a test wants, and the answer parsed without a client library's opinions."""

import http.client
import socket
import xml.etree.ElementTree as ElementTree
from dataclasses import dataclass, field
from urllib.parse import quote, urlsplit


def uri_encode(text, safe="-_.~"):
    """Percent-encoding as SigV4 wants it; text goes as UTF-8, bytes as they are."""
    return quote(text if isinstance(text, bytes) else text.encode(), safe=safe)


def path_of(bucket=None, key=None):
    """The path of a bucket or key, encoded once, slashes of the key kept."""
    path = "/"
    if bucket is not None:
        path += uri_encode(bucket)
    if key is not None:
        path += "/" + uri_encode(key, safe="/-_.~")
    return path


@dataclass
class Request:
    """A request as it goes out. `path` and `query` are what the request line shows, encoded already."""

    method: str
    path: str = "/"
    query: str = ""
    headers: list = field(default_factory=list)
    body: bytes = b""

    def header(self, name):
        """The value of the first header of this name, or None."""
        return next((value for n, value in self.headers if n.lower() == name.lower()), None)

    def set(self, name, value):
        """Exactly one header of this name."""
        self.headers = [(n, v) for n, v in self.headers if n.lower() != name.lower()] + [(name, value)]
        return self

    def without(self, name):
        self.headers = [(n, v) for n, v in self.headers if n.lower() != name.lower()]
        return self

    @property
    def target(self):
        return self.path + ("?" + self.query if self.query else "")

    def head_bytes(self):
        lines = [f"{self.method} {self.target} HTTP/1.1".encode("latin-1")]
        for name, value in self.headers:
            lines.append(name.encode("latin-1") + b": " + (value if isinstance(value, bytes) else value.encode("utf-8")))
        return b"\r\n".join(lines) + b"\r\n\r\n"

    def to_bytes(self):
        return self.head_bytes() + self.body


@dataclass
class Response:
    status: int
    reason: str
    headers: list
    body: bytes

    def header(self, name):
        values = [value for n, value in self.headers if n.lower() == name.lower()]
        assert len(values) <= 1, f"{name} came {len(values)} times"
        return values[0] if values else None

    @property
    def xml(self):
        return ElementTree.fromstring(self.body)

    @property
    def code(self):
        """The Code of an error body; None if the body is none."""
        if not self.body.lstrip().startswith(b"<"):
            return None
        root = self.xml
        return root.findtext("Code") if root.tag == "Error" else None

    def __str__(self):
        return f"{self.status} {self.reason} {self.headers} {self.body[:600]!r}"


class Connection:
    """One TCP connection to an endpoint; not closed between requests unless the server does."""

    def __init__(self, endpoint, timeout=30):
        parts = urlsplit(endpoint)
        self.address = (parts.hostname, parts.port)
        self.socket = socket.create_connection(self.address, timeout=timeout)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffered = b""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        self.socket.close()

    def send(self, data):
        self.socket.sendall(data)

    def read_head(self):
        """The next head, be it `100 Continue` or an answer, as bytes without the empty line; b'' at the end."""
        while b"\r\n\r\n" not in self._buffered:
            more = self.socket.recv(65536)
            if not more:
                head, self._buffered = self._buffered, b""
                return head
            self._buffered += more
        head, _, self._buffered = self._buffered.partition(b"\r\n\r\n")
        return head

    def read_response(self, method="GET"):
        """The next final answer, `100 Continue` passed over."""
        while True:
            head = self.read_head()
            if not head:
                raise ConnectionResetError("closed without an answer")
            lines = head.split(b"\r\n")
            _, status, reason = (lines[0].decode("latin-1") + " ").split(" ", 2)
            if status != "100":
                break
        headers = []
        for line in lines[1:]:
            name, _, value = line.partition(b":")
            headers.append((name.decode("latin-1"), value.strip().decode("latin-1")))
        response = Response(int(status), reason.strip(), headers, b"")
        if method != "HEAD" and response.status not in (204, 304):
            response.body = self._read_body(response)
        return response

    def _read_body(self, response):
        if (response.header("transfer-encoding") or "").lower() == "chunked":
            return self._read_chunked()
        length = response.header("content-length")
        if length is None:
            return self._read_to_end()
        return self._read_exactly(int(length))

    def _read_exactly(self, count):
        parts, have = [self._buffered], len(self._buffered)
        while have < count:
            more = self.socket.recv(1 << 20)
            if not more:
                raise http.client.IncompleteRead(b"".join(parts), count - have)
            parts.append(more)
            have += len(more)
        data = b"".join(parts)
        self._buffered = data[count:]
        return data[:count]

    def _read_to_end(self):
        parts, self._buffered = [self._buffered], b""
        while more := self.socket.recv(1 << 20):
            parts.append(more)
        return b"".join(parts)

    def _read_line(self):
        while b"\r\n" not in self._buffered:
            more = self.socket.recv(65536)
            if not more:
                raise http.client.IncompleteRead(self._buffered)
            self._buffered += more
        line, _, self._buffered = self._buffered.partition(b"\r\n")
        return line

    def _read_chunked(self):
        body = b""
        while size := int(self._read_line().split(b";")[0], 16):
            body += self._read_exactly(size)
            self._read_exactly(2)
        while self._read_line():
            pass
        return body

    def closed_by_peer(self, timeout=10):
        """True once the server has closed; False if it has not within the time."""
        self.socket.settimeout(timeout)
        try:
            while True:
                if not self.socket.recv(65536):
                    return True
        except (ConnectionResetError, BrokenPipeError):
            return True
        except TimeoutError:
            return False


def exchange(endpoint, request, timeout=30):
    """One request on a connection of its own. A server that answers early may close before it has read everything."""
    data = request if isinstance(request, bytes) else request.to_bytes()
    method = data.split(b" ", 1)[0].decode("latin-1")
    with Connection(endpoint, timeout) as connection:
        try:
            connection.send(data)
        except (BrokenPipeError, ConnectionResetError):
            pass
        return connection.read_response(method)
