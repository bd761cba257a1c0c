"""One `trioxide server` on free ports and a data folder of its own."""

import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "deploy" / "cluster"))
from processes import NotReady, Process, free_port, http_get, wait_until  # noqa: E402, F401

# The administrator that the configuration names, and two more users, of whom one may nothing special.
ROOT_KEYS = ("AKIDROOTSUITE0000001", "root/secret+of=the.suite-0123456789abcdef")


class User:
    def __init__(self, number, name, admin=False):
        self.id = f"{name}-id-{number:02}"
        self.display_name = name.capitalize()
        self.email = f"{name}@example.com"
        self.access_key = f"AKID{name.upper()}SUITE{number:08}"
        # Characters that must survive configuration, storage and HMAC alike.
        self.secret_key = f"{name}/secret+{number}=0123456789abcdef"
        self.admin = admin

    @property
    def account(self):
        """The number that ARNs name the account by: the first that is tried is made of the id (FNV-1a)."""
        number = 0xcbf29ce484222325
        for byte in self.id.encode():
            number = (number ^ byte) * 0x100000001b3 % 2**64
        return str(10**11 + number % (9 * 10**11))

    def toml(self):
        return "\n".join(["[[user]]"] + [f"{key} = {json.dumps(value)}" for key, value in vars(self).items()]) + "\n"


ALICE = User(1, "alice")
BOB = User(2, "bob")


def binary():
    """The trioxide under test."""
    path = os.environ.get("SUITE_BIN") or ROOT / "target" / "debug" / "trioxide"
    path = pathlib.Path(path).absolute()
    if not path.is_file():
        raise FileNotFoundError(f"{path} is not there; build it (`cargo build`) or name one in SUITE_BIN")
    return path


class Server(Process):
    """A server process; `start()` then `wait_ready()`. The same object starts it again on the same folder."""

    def __init__(self, folder, config="", users=(ALICE, BOB), env=None, executable=None):
        folder = pathlib.Path(folder).absolute()
        folder.mkdir(parents=True, exist_ok=True)
        self.data = folder / "data"
        self.s3_port, self.admin_port = free_port(), free_port()
        self.endpoint = f"http://127.0.0.1:{self.s3_port}"
        self.admin = f"http://127.0.0.1:{self.admin_port}"
        self.config = folder / "trioxide.toml"
        self.config.write_text(config + "\n" + "\n".join(user.toml() for user in users))
        self.config.chmod(0o600)
        self.binary = executable or binary()
        super().__init__(
            "server",
            [self.binary, "server", "--config", self.config, "--data", self.data,
             "--s3-addr", f"127.0.0.1:{self.s3_port}", "--admin-addr", f"127.0.0.1:{self.admin_port}"],
            folder,
            env={"TRIOXIDE_ROOT_ACCESS_KEY": ROOT_KEYS[0], "TRIOXIDE_ROOT_SECRET_KEY": ROOT_KEYS[1], **(env or {})},
            ready_url=self.admin + "/health/ready", cwd=folder)

    def admin_command(self, *arguments, keys=ROOT_KEYS, check=True):
        """`trioxide admin --json …`: the finished process; its stdout is one JSON document."""
        env = {**os.environ, "AWS_ACCESS_KEY_ID": keys[0], "AWS_SECRET_ACCESS_KEY": keys[1]}
        run = subprocess.run([self.binary, "admin", "--endpoint", self.admin, "--json", *arguments],
                             env=env, capture_output=True, text=True, timeout=60)
        if check:
            assert run.returncode == 0, f"admin {arguments}: {run.stderr}"
        return run

    def rss(self):
        """Resident bytes."""
        for line in pathlib.Path(f"/proc/{self.pid}/status").read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1]) * 1024
        raise NotReady("the server is gone")
