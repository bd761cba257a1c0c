#!/usr/bin/env python3
"""A whole cluster on this machine: 3 om, 3 scm, 3 datanodes, 2 gateways, each a process of its own on the loopback.

    cluster.py up                    write the configuration (once), start everything, wait until S3 answers
    cluster.py down                  stop everything (SIGTERM)
    cluster.py status                who runs, who is ready
    cluster.py start|stop|kill|restart NODE...
    cluster.py pause|resume NODE...  SIGSTOP, SIGCONT
    cluster.py wipe NODE...          kill it and remove its data: it comes back as an empty machine
    cluster.py leader om|scm         the name of the member that leads
    cluster.py env                   shell lines that point aws-cli and `trioxide admin` at the cluster

Everything lives in one folder (`--dir`, default ./cluster): conf/ data/ logs/ run/, `credentials` in the form of the AWS
tools, and `cluster.json`, which says what there is. Only the standard library; the test suite drives the same class.
"""

import argparse
import json
import os
import pathlib
import secrets
import shutil
import signal
import string
import subprocess
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from processes import NotReady, Process, free_port, http_get, wait_until  # noqa: E402

# Order of starting: the authority first, since the others ask it for their certificates; clients of a role after it.
ROLES = ("scm", "om", "datanode", "gateway")
PREFIX = {"om": "om", "scm": "scm", "datanode": "dn", "gateway": "gw"}
# The first node of a role has Ozone's ports where Ozone has such a port; each further one is 100 higher.
PORTS = {
    "om": {"rpc": 9862, "admin": 9874},
    "scm": {"rpc": 9863, "admin": 9876},
    "datanode": {"rpc": 9859, "data": 9882, "admin": 9883},
    "gateway": {"s3": 9878, "admin": 19878},
}


class Cluster:
    """The cluster that lives in `folder`. Nothing is read from a running process that the folder does not say."""

    def __init__(self, folder, binary="target/release/trioxide"):
        self.folder = pathlib.Path(folder).absolute()
        self.binary = pathlib.Path(binary).absolute()
        self._plan = None
        self._processes = {}

    # --- the plan ---

    @property
    def plan(self):
        if self._plan is None:
            self._plan = json.loads((self.folder / "cluster.json").read_text())
        return self._plan

    def exists(self):
        return (self.folder / "cluster.json").is_file()

    def create(self, om=3, scm=3, datanode=3, gateway=2, free_ports=False, extra=""):
        """Writes the configuration of a new cluster. `extra` is TOML for every node: settings, users, buckets."""
        nodes = {}
        for role, count in (("scm", scm), ("om", om), ("datanode", datanode), ("gateway", gateway)):
            for index in range(count):
                ports = {what: free_port() if free_ports else port + 100 * index for what, port in PORTS[role].items()}
                nodes[f"{PREFIX[role]}{index + 1}"] = {"role": role, "ports": ports}
        alphabet = string.ascii_uppercase + string.digits
        plan = {
            "nodes": nodes,
            "access_key": "TRIO" + "".join(secrets.choice(alphabet) for _ in range(16)),
            "secret_key": secrets.token_urlsafe(30),
        }
        self.folder.mkdir(parents=True, exist_ok=True)
        # Keys lie in this folder.
        self.folder.chmod(0o700)
        token = subprocess.run([self.binary, "token"], check=True, capture_output=True, text=True).stdout.strip()
        self._write("join-token", token + "\n")
        self._write("credentials", "[default]\naws_access_key_id = {access_key}\naws_secret_access_key = {secret_key}\n".format(**plan))
        (self.folder / "conf").mkdir(exist_ok=True)
        for name in nodes:
            self._write(f"conf/{name}.toml", self._config(plan, name, extra))
        # Last: a folder with this file is a whole configuration.
        self._write("cluster.json", json.dumps(plan, indent=2))
        self._plan = plan
        return self

    def _write(self, name, text):
        path = self.folder / name
        with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
            file.write(text)

    def _config(self, plan, name, extra):
        node = plan["nodes"][name]
        lines = [
            f'# {name} of the local cluster, written by deploy/cluster/cluster.py.',
            f'node = "{name}"',
            f'data = "{self.data(name)}"',
            f'join_token_file = "{self.folder / "join-token"}"',
            "",
            "[admin]",
            f'addr = "127.0.0.1:{node["ports"]["admin"]}"',
        ]
        for role in ("om", "scm"):
            members = {n: v["ports"]["rpc"] for n, v in plan["nodes"].items() if v["role"] == role}
            lines += ["", f"[{role}.nodes]"] + [f'{member} = "127.0.0.1:{port}"' for member, port in members.items()]
        if node["role"] == "datanode":
            lines += ["", "[datanode]", f'rpc_addr = "127.0.0.1:{node["ports"]["rpc"]}"',
                      f'data_addr = "127.0.0.1:{node["ports"]["data"]}"']
        if node["role"] == "gateway":
            lines += ["", "[gateway]", f's3_addr = "127.0.0.1:{node["ports"]["s3"]}"']
        if node["role"] == "om":
            lines += ["", "[root]", f'access_key = "{plan["access_key"]}"', f'secret_key = "{plan["secret_key"]}"']
        return "\n".join(lines) + "\n" + (("\n" + extra + "\n") if extra else "")

    # --- names and addresses ---

    def names(self, role=None):
        return [name for name, node in self.plan["nodes"].items() if role in (None, node["role"])]

    def role(self, name):
        return self.plan["nodes"][name]["role"]

    def data(self, name):
        return self.folder / "data" / name

    def port(self, name, what):
        return self.plan["nodes"][name]["ports"][what]

    def admin_url(self, name):
        return f"http://127.0.0.1:{self.port(name, 'admin')}"

    def s3_urls(self):
        return [f"http://127.0.0.1:{self.port(name, 's3')}" for name in self.names("gateway")]

    @property
    def keys(self):
        return self.plan["access_key"], self.plan["secret_key"]

    def process(self, name):
        if name not in self.plan["nodes"]:
            raise SystemExit(f"no node {name}; there are {', '.join(self.names())}")
        if name not in self._processes:
            self._processes[name] = Process(
                name, [self.binary, self.role(name), "--config", self.folder / "conf" / f"{name}.toml"],
                self.folder, ready_url=self.admin_url(name) + "/health/ready", cwd=self.folder)
        return self._processes[name]

    # --- life ---

    def start(self, *names):
        for name in names or self.names():
            self.data(name).mkdir(parents=True, exist_ok=True)
            self.process(name).start()
        return self

    def wait_ready(self, *names, timeout=90):
        for name in names or self.names():
            self.process(name).wait_ready(timeout)
        return self

    def wait_writable(self, timeout=90):
        """Until the OM says that it can write: it leads, and has blocks of a whole pipeline to hand out."""
        def writable():
            try:
                return self.admin("status")["om"]["can_write"]
            except (subprocess.CalledProcessError, subprocess.TimeoutExpired, TypeError, ValueError, IndexError):
                return False
        wait_until(writable, timeout, "a cluster that takes writes", pause=0.2)
        return self

    def kill(self, *names):
        for name in names:
            self.process(name).kill()

    def stop(self, *names):
        """Clients before those they call, so that nothing reports an outage that is only the shutdown."""
        order = names or [name for role in reversed(ROLES) for name in self.names(role)]
        for name in order:
            self.process(name).signal(signal.SIGTERM)
        for name in order:
            try:
                self.process(name).stop(30)
            except TimeoutError:
                print(f"{name} does not end; killed", file=sys.stderr)
                self.process(name).kill()

    def wipe(self, *names):
        self.kill(*names)
        for name in names:
            shutil.rmtree(self.data(name), ignore_errors=True)

    def admin(self, *arguments, gateway=None):
        """`trioxide admin … --json` through a gateway; the parsed answer. Raises CalledProcessError with its stderr."""
        access, secret = self.keys
        env = {**os.environ, "AWS_ACCESS_KEY_ID": access, "AWS_SECRET_ACCESS_KEY": secret}
        gateways = [gateway] if gateway else [name for name in self.names("gateway") if self.process(name).alive()]
        run = subprocess.run(
            [self.binary, "admin", "--json", "--endpoint", self.admin_url(gateways[0]), *arguments],
            env=env, capture_output=True, text=True, timeout=60)
        run.check_returncode()
        return json.loads(run.stdout)

    def leader(self, role):
        """The name of the member that leads, or None while there is none."""
        try:
            roles = self.admin(role, "roles")
        except (subprocess.CalledProcessError, subprocess.TimeoutExpired, ValueError, IndexError):
            return None
        endpoints = [member["endpoint"] for member in roles["members"] if member["id"] == roles["leader"]]
        return self.named(endpoints[0]) if endpoints else None

    def named(self, endpoint):
        """The node whose RPC port this is."""
        return next(name for name in self.names() if endpoint.endswith(f":{self.plan['nodes'][name]['ports'].get('rpc')}"))

    def wait_leader(self, role, timeout=30, other_than=None):
        def elected():
            name = self.leader(role)
            return name if name and name != other_than and self.process(name).alive() else None
        return wait_until(elected, timeout, f"a leader of {role}")


def report(cluster):
    access, secret = cluster.keys
    print(f"S3 endpoints      {'  '.join(cluster.s3_urls())}")
    print(f"admin endpoint    {cluster.admin_url(cluster.names('gateway')[0])}")
    print(f"access key        {access}")
    print(f"secret key        {secret}")
    print(f"logs              {cluster.folder / 'logs'}")
    print(f"in this shell     eval \"$({os.path.relpath(__file__)} --dir {os.path.relpath(cluster.folder)} env)\"")
    print(f"then              aws s3 mb s3://first && aws s3 cp README.md s3://first/ && aws s3 ls s3://first/")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--dir", default="cluster", help="the cluster's folder")
    parser.add_argument("--bin", default="target/release/trioxide", help="the trioxide binary")
    parser.add_argument("--free-ports", action="store_true", help="a new cluster takes free ports, not the usual ones")
    parser.add_argument("command", choices=["up", "down", "status", "start", "stop", "kill", "restart", "pause", "resume",
                                            "wipe", "leader", "env"])
    parser.add_argument("nodes", nargs="*")
    options = parser.parse_args()
    cluster = Cluster(options.dir, options.bin)

    if options.command == "up" and not cluster.exists():
        cluster.create(free_ports=options.free_ports)
    if not cluster.exists():
        if options.command == "down":
            return
        raise SystemExit(f"no cluster in {cluster.folder}; `up` makes one")
    if options.command in ("start", "stop", "kill", "restart", "pause", "resume", "wipe", "leader") and not options.nodes:
        parser.error(f"{options.command} of what?")

    match options.command:
        case "up":
            try:
                cluster.start().wait_ready().wait_writable()
            except (NotReady, TimeoutError) as error:
                raise SystemExit(str(error)) from None
            print(f"{len(cluster.names())} processes are ready.")
            report(cluster)
        case "down":
            cluster.stop()
            print("stopped; the data is still there: `up` goes on with it")
        case "status":
            down = 0
            for name in cluster.names():
                process = cluster.process(name)
                state = "down" if not process.alive() else "ready" if process.ready() else "not ready"
                down += state != "ready"
                print(f"{name:8}{cluster.role(name):10}{state:10}{process.pid or '':>8}  {cluster.admin_url(name)}")
            raise SystemExit(1 if down else 0)
        case "start":
            cluster.start(*options.nodes).wait_ready(*options.nodes)
        case "stop":
            cluster.stop(*options.nodes)
        case "kill":
            cluster.kill(*options.nodes)
        case "restart":
            cluster.stop(*options.nodes)
            cluster.start(*options.nodes).wait_ready(*options.nodes)
        case "pause" | "resume":
            number = signal.SIGSTOP if options.command == "pause" else signal.SIGCONT
            for name in options.nodes:
                cluster.process(name).signal(number)
        case "wipe":
            cluster.wipe(*options.nodes)
        case "leader":
            name = cluster.leader(options.nodes[0])
            if name is None:
                raise SystemExit("no leader")
            print(name)
        case "env":
            access, secret = cluster.keys
            for variable, value in (("AWS_ENDPOINT_URL", cluster.s3_urls()[0]), ("AWS_ACCESS_KEY_ID", access),
                                    ("AWS_SECRET_ACCESS_KEY", secret), ("AWS_DEFAULT_REGION", "us-east-1"),
                                    ("TRIOXIDE_ENDPOINT", cluster.admin_url(cluster.names("gateway")[0]))):
                print(f"export {variable}='{value}'")


if __name__ == "__main__":
    main()
