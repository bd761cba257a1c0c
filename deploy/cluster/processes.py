"""Processes of Trioxide on this machine: start, wait until ready, stop, kill.

Used by the local cluster (`cluster.py`) and by the test suite. Only the standard library.

A process outlives the Python that started it; its pid stands in a file next to the time at which the kernel started it, so
that a pid used again by a stranger is never signalled.
"""

import errno
import fcntl
import json
import os
import pathlib
import signal
import socket
import subprocess
import tempfile
import time
import urllib.error
import urllib.request


class NotReady(RuntimeError):
    """The process ended, or did not become ready in time. The text carries the end of its log."""


def wait_until(condition, timeout, what, pause=0.05):
    """Returns the first true value of `condition()`; raises TimeoutError naming `what` otherwise."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() >= deadline:
            raise TimeoutError(f"{what}: not within {timeout} s")
        time.sleep(pause)


def http_get(url, timeout=2.0):
    """Status and body; (None, b'') if nobody answers."""
    try:
        with urllib.request.urlopen(url, timeout=timeout) as reply:
            return reply.status, reply.read()
    except urllib.error.HTTPError as error:
        return error.code, error.read()
    except (OSError, urllib.error.URLError):
        return None, b""


_claims = []


def free_port():
    """A port of the loopback that nobody listens on, and that no other caller of this function will get while we live.

    Below the kernel's ephemeral range, so that an outgoing connection cannot take it between the choice and the bind.
    """
    folder = pathlib.Path(tempfile.gettempdir()) / f"trioxide-ports-{os.getuid()}"
    folder.mkdir(exist_ok=True)
    start = 20000 + (os.getpid() * 61 + len(_claims) * 7) % 12000
    for step in range(12000):
        port = 20000 + (start - 20000 + step) % 12000
        claim = open(folder / str(port), "w")
        try:
            fcntl.flock(claim, fcntl.LOCK_EX | fcntl.LOCK_NB)
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind(("127.0.0.1", port))
        except OSError as error:
            claim.close()
            if error.errno not in (errno.EAGAIN, errno.EACCES, errno.EADDRINUSE):
                raise
            continue
        _claims.append(claim)
        return port
    raise RuntimeError("no free port between 20000 and 32000")


def _started_at(pid):
    """When the kernel started this process, or None if it is gone, to its last thread."""
    try:
        fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
        if fields[0] in "ZX" and len(os.listdir(f"/proc/{pid}/task")) <= 1:
            return None
    except OSError:
        return None
    return int(fields[19])


class Process:
    """One process with its log and its pid file."""

    def __init__(self, name, command, folder, env=None, ready_url=None, cwd=None):
        folder = pathlib.Path(folder)
        self.name = name
        self.command = [str(part) for part in command]
        self.env = dict(env or {})
        self.ready_url = ready_url
        self.cwd = cwd
        self.log = folder / "logs" / f"{name}.log"
        self.pid_file = folder / "run" / f"{name}.pid"
        self._child = None

    def start(self):
        if self.alive():
            return self
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self.pid_file.parent.mkdir(parents=True, exist_ok=True)
        # Settings come from here alone: a variable left over in a shell must not change what a test or a cluster runs with.
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TRIOXIDE_")}
        with open(self.log, "ab") as log:
            self._child = subprocess.Popen(
                self.command, stdin=subprocess.DEVNULL, stdout=log, stderr=log, cwd=self.cwd,
                env={**inherited, **self.env}, start_new_session=True)
        self.pid_file.write_text(json.dumps({"pid": self._child.pid, "started": _started_at(self._child.pid)}))
        return self

    @property
    def pid(self):
        """The pid while the process lives, else None."""
        if self._child is not None and self._child.poll() is not None:
            return None
        try:
            noted = json.loads(self.pid_file.read_text())
        except (OSError, ValueError):
            return None
        started = _started_at(noted["pid"])
        return noted["pid"] if started is not None and started == noted["started"] else None

    def alive(self):
        return self.pid is not None

    def signal(self, number):
        pid = self.pid
        if pid is not None:
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass

    def kill(self):
        """SIGKILL: as a power cut for the process, not for the disk."""
        self.signal(signal.SIGKILL)
        self._wait_gone(10, "SIGKILL")

    def stop(self, timeout=30):
        """SIGTERM, and the exit code if we started it ourselves. Raises TimeoutError if it does not end."""
        self.signal(signal.SIGTERM)
        return self._wait_gone(timeout, "SIGTERM")

    def _wait_gone(self, timeout, after):
        """Until the last thread is gone: the first may end before those that still hold files and locks."""
        if self._child is not None:
            try:
                return self._child.wait(timeout)
            except subprocess.TimeoutExpired:
                raise TimeoutError(f"{self.name} gone after {after}: not within {timeout} s") from None
        wait_until(lambda: not self.alive(), timeout, f"{self.name} gone after {after}", 0.01)

    def ready(self):
        return http_get(self.ready_url)[0] == 200

    def wait_ready(self, timeout=60):
        deadline = time.monotonic() + timeout
        while not self.ready():
            if not self.alive():
                raise NotReady(f"{self.name} ended before it was ready; the end of {self.log}:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise NotReady(f"{self.name} not ready within {timeout} s ({self.ready_url}); "
                               f"the end of {self.log}:\n{self.log_tail()}")
            time.sleep(0.05)
        return self

    def log_tail(self, lines=40):
        """The end of the log, without the audit lines that share the file."""
        try:
            text = self.log.read_text(errors="replace").splitlines()
        except OSError:
            return "(no log)"
        return "\n".join([line for line in text if not line.startswith('{"time":')][-lines:])
