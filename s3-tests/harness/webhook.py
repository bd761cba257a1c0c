"""A receiver of notifications."""

import contextlib
import http.server
import json
import socket
import threading
import time

from .server import free_port, wait_until


class Receiver:
    """A webhook on a port of its own, which can be away and come back."""

    def __init__(self, port=None):
        self.port = port or free_port()
        self.events, self.heads, self.answers = [], [], {}
        # Seconds that each answer takes, and the connections that there have been.
        self.delay, self.connections = 0, []
        self.lock = threading.Lock()
        self.listener = None

    def start(self):
        receiver = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def setup(self):
                super().setup()
                receiver.connections.append(self.connection)

            def do_POST(self):
                event = json.loads(self.rfile.read(int(self.headers["content-length"])))
                key = event["Records"][0]["s3"]["object"]["key"] if "Records" in event else None
                status = receiver.answers.get(key, 200)
                time.sleep(receiver.delay)
                with receiver.lock:
                    receiver.heads.append((self.path, dict(self.headers), status))
                    if status == 200:
                        receiver.events.append(event)
                self.send_response(status)
                if status == 302:
                    self.send_header("location", f"http://127.0.0.1:{receiver.port}/elsewhere")
                self.send_header("content-length", "2")
                self.end_headers()
                self.wfile.write(b"ok")

            def log_message(self, *_):
                pass

        class Listener(http.server.ThreadingHTTPServer):
            allow_reuse_address, daemon_threads = True, True

        self.listener = Listener(("127.0.0.1", self.port), Handler)
        threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def stop(self):
        if self.listener is not None:
            self.listener.shutdown()
            self.listener.server_close()
            self.listener = None
            for connection in self.connections:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def records(self):
        with self.lock:
            return [event["Records"][0] for event in self.events if "Records" in event]

    def seen(self):
        """Each event's name and key, in the order in which they came."""
        return [(record["eventName"], record["s3"]["object"]["key"]) for record in self.records()]

    def of_each_key(self):
        """The sequencers of each key's events, in the order in which they came first."""
        found = {}
        for record in self.records():
            sequencers = found.setdefault(record["s3"]["object"]["key"], [])
            if record["s3"]["object"]["sequencer"] not in sequencers:
                sequencers.append(record["s3"]["object"]["sequencer"])
        return found

    def tests(self):
        with self.lock:
            return [event for event in self.events if event.get("Event") == "s3:TestEvent"]

    def await_seen(self, expected, timeout=30):
        wait_until(lambda: set(expected) <= set(self.seen()), timeout, f"{expected}, of which there is {self.seen()}")
        return self.seen()
