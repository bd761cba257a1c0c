"""Around S3: the first start, bootstrap, health, metrics, secrets, the admin command line, logs."""

import json
import os
import pathlib
import re
import subprocess
import time

import pytest

from conftest import keys_of, new_name
from harness.clients import boto
from harness.server import ALICE, BOB, ROOT_KEYS, binary
from harness.sigv4 import Signer
from harness.wire import Connection, Request, exchange, path_of
from processes import http_get, wait_until
from support import body_of, refused


def test_the_first_start_makes_a_root_key_and_shows_it_once(new_server):
    server = new_server(users=())
    server.env = {}
    server.start().wait_ready()
    text = server.log.read_text()
    access = re.search(r"^ *export AWS_ACCESS_KEY_ID=(\S+)$", text, re.MULTILINE)
    secret = re.search(r"^ *export AWS_SECRET_ACCESS_KEY=(\S+)$", text, re.MULTILINE)
    assert access and secret, text
    keys = access[1], secret[1]
    boto(server.endpoint, keys).create_bucket(Bucket="first")
    assert server.stop() == 0
    mark = server.log.stat().st_size
    server.start().wait_ready()
    assert [b["Name"] for b in boto(server.endpoint, keys).list_buckets()["Buckets"]] == ["first"]
    assert keys[1] not in server.log.read_text()[mark:]
    # Nothing on the disk holds the secret in the clear.
    for folder, _, files in os.walk(server.data):
        for name in files:
            assert keys[1].encode() not in pathlib.Path(folder, name).read_bytes(), f"{folder}/{name}"


def test_users_and_buckets_of_the_configuration_exist_and_starting_again_changes_nothing(new_server):
    server = new_server(config=f'[[bucket]]\nname = "given"\nowner = "{ALICE.id}"\n')
    for _ in range(2):
        server.start().wait_ready()
        s3 = boto(server.endpoint, keys_of(ALICE))
        answer = s3.list_buckets()
        assert [b["Name"] for b in answer["Buckets"]] == ["given"]
        assert answer["Owner"]["ID"] == ALICE.id
        s3.put_object(Bucket="given", Key="k", Body=b"x")
        with refused("AccessDenied", 403):
            boto(server.endpoint, keys_of(BOB)).list_objects_v2(Bucket="given")
        assert server.stop() == 0


def test_a_first_start_that_fails_after_the_root_key_was_made_has_shown_it(new_server):
    """What a policy may say only the namespace knows, so that this mistake is found late."""
    server = new_server(users=(), config='[[iam.policy]]\nname = "empty"\ndocument = "{}"\n')
    server.env = {}
    server.start()
    wait_until(lambda: not server.alive(), 30, "the server ends")
    text = server.log.read_text()
    assert 'policy "empty": document' in text, text
    keys = tuple(re.search(rf"^ *export {name}=(\S+)$", text, re.MULTILINE)[1] for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"))
    server.config.write_text("")
    server.start().wait_ready()
    boto(server.endpoint, keys).create_bucket(Bucket="first")


def test_a_mistake_in_users_or_buckets_is_told_before_anything_is_opened(tmp_path):
    path = tmp_path / "trioxide.toml"
    path.write_text('[[bucket]]\nname = "Not_A_Name"\n')
    for words in (["config", "--config", path], ["server", "--config", path, "--data", tmp_path / "data"]):
        done = subprocess.run([binary(), *words], capture_output=True, text=True, timeout=30)
        assert done.returncode != 0 and 'bucket "Not_A_Name"' in done.stderr, done.stderr
    assert not (tmp_path / "data").exists()


def test_an_address_in_use_is_told(server, tmp_path):
    for flag, address in (("--s3-addr", server.endpoint), ("--admin-addr", server.admin)):
        address = address.removeprefix("http://")
        other = ["--s3-addr", "127.0.0.1:0"] if flag == "--admin-addr" else ["--admin-addr", "127.0.0.1:0"]
        done = subprocess.run([binary(), "server", "--data", tmp_path / "data", flag, address, *other], capture_output=True, text=True, timeout=30)
        assert done.returncode != 0 and f"listening on {address}" in done.stderr, done.stderr


@pytest.mark.parametrize("config, word", [("[gateway]\ns3_adress = 1\n", "s3_addr"), ("nonsense = 1\n", "nonsense"), ("[log]\nlevel = 7\n", "level"),
                                          ("[gateway\n", "")])
def test_a_configuration_that_is_wrong_is_refused_by_name(tmp_path, config, word):
    path = tmp_path / "trioxide.toml"
    path.write_text(config)
    done = subprocess.run([binary(), "server", "--config", path, "--data", tmp_path / "data", "--s3-addr", "127.0.0.1:0"],
                          capture_output=True, text=True, timeout=30)
    assert done.returncode != 0 and word in done.stderr and "panicked" not in done.stderr, done.stderr


def test_health_is_public_and_tells_nothing(server):
    for path in ("/health/live", "/health/ready"):
        status, body = http_get(server.admin + path)
        assert status == 200 and len(body) < 200, (path, body)


def test_metrics_are_in_the_form_of_prometheus(server, s3):
    s3.list_buckets()
    status, body = http_get(server.admin + "/metrics")
    assert status == 200
    lines = [line for line in body.decode().splitlines() if line and not line.startswith("#")]
    assert lines and all(re.fullmatch(r"[a-zA-Z_:][a-zA-Z0-9_:]*(\{.*\})? [-+0-9.eEinfNa]+", line) for line in lines), lines[:5]
    assert any("request" in line for line in lines)


# --- secrets ---

def ask_secret(server, method, path, keys, body=b""):
    request = Request(method, path, body=body)
    if keys is None:
        request.set("host", "h").set("content-length", str(len(body)))
    else:
        Signer(*keys).sign(request, server.admin)
    return exchange(server.admin, request)


def secret_of(response):
    assert response.status == 200, str(response)
    answer = json.loads(response.body)
    return answer["access_key"], answer["secret_key"]


@pytest.fixture
def users(new_server):
    server = new_server()
    server.start().wait_ready()
    return server


def test_a_secret_is_shown_once_and_replaced_only_after_it_was_revoked(users):
    old = keys_of(BOB)
    for keys, path in ((old, "/secret"), (ROOT_KEYS, f"/secret/{BOB.id}")):
        response = ask_secret(users, "PUT", path, keys)
        assert response.status == 409 and old[1].encode() not in response.body, str(response)
    boto(users.endpoint, old).list_buckets()
    assert ask_secret(users, "DELETE", "/secret", old).status in (200, 204)
    new = secret_of(ask_secret(users, "PUT", f"/secret/{BOB.id}", ROOT_KEYS))
    assert new[1] != old[1]
    boto(users.endpoint, new).list_buckets()
    wait_until(lambda: _fails(users, old), 6, "the old secret to be refused")


def _fails(server, keys):
    from botocore.exceptions import ClientError
    try:
        boto(server.endpoint, keys).list_buckets()
    except ClientError as error:
        return error.response["Error"]["Code"] in ("SignatureDoesNotMatch", "InvalidAccessKeyId", "AccessDenied")
    return False


def test_a_revoked_secret_ends_at_once_also_for_urls_made_before(users):
    s3 = boto(users.endpoint, keys_of(BOB), signature_version="s3v4")
    name = new_name()
    s3.create_bucket(Bucket=name)
    url = s3.generate_presigned_url("list_objects_v2", Params={"Bucket": name})
    assert http_get(url)[0] == 200
    assert ask_secret(users, "DELETE", "/secret", keys_of(BOB)).status in (200, 204)
    wait_until(lambda: _fails(users, keys_of(BOB)) and http_get(url)[0] == 403, 6, "key and URL refused")


@pytest.mark.parametrize("method", ["PUT", "DELETE"])
def test_an_ordinary_user_reaches_only_their_own_secret(users, method):
    for keys, path in ((keys_of(BOB), f"/secret/{ALICE.id}"), (None, "/secret"), (None, f"/secret/{BOB.id}"),
                       ((BOB.access_key, "wrong"), "/secret"), (("AKIDNOBODY", "x"), "/secret")):
        response = ask_secret(users, method, path, keys)
        assert response.status in (401, 403), (path, str(response))
    boto(users.endpoint, keys_of(ALICE)).list_buckets()
    boto(users.endpoint, keys_of(BOB)).list_buckets()


def test_an_administrator_reaches_anyones_secret(users):
    assert ask_secret(users, "DELETE", f"/secret/{BOB.id}", ROOT_KEYS).status in (200, 204)
    wait_until(lambda: _fails(users, keys_of(BOB)), 6, "the revoked key refused")
    assert ask_secret(users, "DELETE", f"/secret/{BOB.id}", ROOT_KEYS).status == 404
    boto(users.endpoint, secret_of(ask_secret(users, "PUT", f"/secret/{BOB.id}", ROOT_KEYS))).list_buckets()
    assert ask_secret(users, "PUT", "/secret/nobody-of-this-name", ROOT_KEYS).status == 404


# --- the command line ---

COMMANDS = [["status"], ["om", "roles"], ["scm", "roles"], ["scm", "safe-mode"], ["scm", "pipelines"], ["scm", "containers"], ["datanode", "list"], ["account", "list"]]


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_an_administrator_is_answered_and_nobody_else(server, words):
    assert json.loads(server.admin_command(*words).stdout) is not None
    text = subprocess.run([binary(), "admin", "--endpoint", server.admin, *words], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "AWS_ACCESS_KEY_ID": ROOT_KEYS[0], "AWS_SECRET_ACCESS_KEY": ROOT_KEYS[1]})
    assert text.returncode == 0, text.stderr
    for keys in (keys_of(ALICE), (ROOT_KEYS[0], "wrong"), ("AKIDNOBODY", "x")):
        refused = server.admin_command(*words, keys=keys, check=False)
        assert refused.returncode != 0 and refused.stderr.strip() and "panicked" not in refused.stderr, (keys[0], refused)


def test_the_command_line_makes_and_ends_secrets(users):
    users.admin_command("secret", "revoke", BOB.id)
    made = json.loads(users.admin_command("secret", "create", BOB.id).stdout)
    keys = made["access_key"], made["secret_key"]
    boto(users.endpoint, keys).list_buckets()
    users.admin_command("secret", "revoke", BOB.id)
    wait_until(lambda: _fails(users, keys), 6, "the revoked key refused")


def test_a_command_without_a_server_says_so(server):
    done = subprocess.run([binary(), "admin", "--endpoint", "http://127.0.0.1:1", "status"], capture_output=True, text=True, timeout=60,
                          env={**os.environ, "AWS_ACCESS_KEY_ID": "x", "AWS_SECRET_ACCESS_KEY": "y"})
    assert done.returncode != 0 and "127.0.0.1:1" in done.stderr


def test_tokens_differ():
    tokens = {subprocess.run([binary(), "token"], capture_output=True, text=True, check=True).stdout.strip() for _ in range(3)}
    assert len(tokens) == 3 and all(len(token) >= 32 for token in tokens)


# --- what is written down ---

def test_every_request_leaves_one_audit_line_and_no_secret(new_server, tmp_path):
    audit = tmp_path / "audit.json"
    server = new_server(config=f'[log]\naudit = "{audit}"\nformat = "json"\nlevel = "debug"\n')
    server.start().wait_ready()
    s3 = boto(server.endpoint, keys_of(ALICE), signature_version="s3v4")
    s3.create_bucket(Bucket="audited")
    ids = []
    for key in ("plain", "with\nline\rbreaks \x1b[31m\""):
        ids.append(s3.put_object(Bucket="audited", Key=key, Body=b"x")["ResponseMetadata"]["HTTPHeaders"]["x-amz-request-id"])
    body_of(s3, "audited", "plain")
    url = s3.generate_presigned_url("get_object", Params={"Bucket": "audited", "Key": "plain"})
    assert http_get(url)[0] == 200
    with refused("NoSuchKey"):
        s3.get_object(Bucket="audited", Key="absent")
    assert server.stop() == 0
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    assert len(lines) == 6, lines
    text = audit.read_text()
    for request_id in ids:
        assert text.count(request_id) == 1
    everything = text + server.log.read_text()
    for hidden in (ALICE.secret_key, BOB.secret_key, ROOT_KEYS[1], url.rpartition("Signature=")[2][:64]):
        assert hidden not in everything
    assert "\x1b" not in everything


def test_files_are_for_their_owner_alone(new_server):
    server = new_server()
    server.start().wait_ready()
    boto(server.endpoint, keys_of(ALICE)).create_bucket(Bucket="bucket")
    for folder, folders, files in os.walk(server.data):
        for name in files:
            mode = os.stat(os.path.join(folder, name)).st_mode & 0o077
            assert mode == 0, f"{folder}/{name} is open to others: {oct(mode)}"
    assert os.stat(server.data).st_mode & 0o077 == 0


def test_the_secrets_of_the_environment_are_not_in_the_command_line(server):
    command = pathlib.Path(f"/proc/{server.pid}/cmdline").read_bytes()
    assert ROOT_KEYS[1].encode() not in command


def test_a_revoked_key_of_the_configuration_stays_revoked_and_a_replaced_one_goes(new_server):
    server = new_server()
    server.start().wait_ready()
    server.admin_command("secret", "revoke", ALICE.id)
    # The administrator's pair is another from now on.
    root = "AKIDROOTSUITE0000002", "another/secret+of=the.suite-0123456789"
    assert server.stop() == 0
    server.env |= {"TRIOXIDE_ROOT_ACCESS_KEY": root[0], "TRIOXIDE_ROOT_SECRET_KEY": root[1]}
    server.start().wait_ready()
    for keys in (keys_of(ALICE), ROOT_KEYS):
        with refused("InvalidAccessKeyId", 403):
            boto(server.endpoint, keys).list_buckets()
    assert ALICE.access_key in server.log_tail(200)
    boto(server.endpoint, root).list_buckets()
    boto(server.endpoint, keys_of(BOB)).list_buckets()
    # A pair that nobody revoked is the way back.
    server.config.write_text(server.config.read_text().replace(ALICE.access_key, ALICE.access_key[::-1]))
    assert server.stop() == 0
    server.start().wait_ready()
    boto(server.endpoint, (ALICE.access_key[::-1], ALICE.secret_key)).list_buckets()


def test_administration_leaves_audit_lines_and_answers_with_an_id(new_server, tmp_path):
    audit = tmp_path / "audit.json"
    server = new_server(config=f'[log]\naudit = "{audit}"\n')
    server.start().wait_ready()
    made = json.loads(server.admin_command("secret", "revoke", ALICE.id).stdout)
    assert made == {}
    made = json.loads(server.admin_command("secret", "create", ALICE.id).stdout)
    denied = ask_secret(server, "DELETE", f"/secret/{ALICE.id}", keys_of(BOB))
    error = json.loads(denied.body)
    assert denied.status == 403 and error["code"] == "AccessDenied"
    assert error["request_id"] == denied.header("x-amz-request-id")
    nothing = exchange(server.admin, Request("GET", "/admin/v1/nothing", headers=[("host", "h")]))
    assert nothing.status == 404 and json.loads(nothing.body)["code"] == "NoSuchRoute"
    assert server.stop() == 0
    lines = [json.loads(line) for line in audit.read_text().splitlines()]
    told = [(line["operation"], line["path"], line["user"], line["status"], line["error"]) for line in lines]
    assert told == [("AdminRevokeSecret", f"/secret/{ALICE.id}", "root", 200, None), ("AdminCreateSecret", f"/secret/{ALICE.id}", "root", 200, None),
                    ("AdminRevokeSecret", f"/secret/{ALICE.id}", BOB.id, 403, "AccessDenied"), (None, "/admin/v1/nothing", None, 404, "NoSuchRoute")]
    assert lines[2]["request_id"] == error["request_id"]
    everything = audit.read_text() + server.log.read_text()
    for hidden in (made["secret_key"], ROOT_KEYS[1], BOB.secret_key):
        assert hidden not in everything


def test_an_administrator_is_told_what_is_wrong_with_a_command(server):
    done = server.admin_command("om", "transfer", "--to", "2", check=False)
    assert done.returncode == 1 and "InvalidArgument (400): not a voting member" in done.stderr, done.stderr


def test_the_command_line_believes_admin_listeners_alone(server):
    import http.server
    import threading

    class Stranger(http.server.BaseHTTPRequestHandler):
        def answer(self):
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"hello")
        do_GET = do_PUT = do_POST = do_DELETE = answer

        def log_message(self, *_):
            pass
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Stranger) as stranger:
        threading.Thread(target=stranger.serve_forever, daemon=True).start()
        for endpoint in (f"http://127.0.0.1:{stranger.server_port}", server.endpoint):
            for words in (["status"], ["secret", "revoke", "alice"], ["account", "list"], ["datanode", "list"]):
                env = {**os.environ, "AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "secret"}
                done = subprocess.run([binary(), "admin", "--endpoint", endpoint, *words], env=env, capture_output=True, text=True, timeout=60)
                assert done.returncode == 3 and "is not an admin listener" in done.stderr and not done.stdout, (endpoint, words, done)
        stranger.shutdown()


def test_a_command_that_comes_to_the_port_of_s3_does_nothing_there(server, root, tmp_path):
    secret = tmp_path / "secret"
    secret.write_text("a/secret+that=has-come-to-the-wrong-port")

    def ask(*words):
        env = {**os.environ, "AWS_ACCESS_KEY_ID": ROOT_KEYS[0], "AWS_SECRET_ACCESS_KEY": ROOT_KEYS[1]}
        done = subprocess.run([binary(), "admin", "--endpoint", server.endpoint, *words], env=env, capture_output=True, text=True, timeout=60)
        assert done.returncode == 3 and "is not an admin listener but speaks S3" in done.stderr and not done.stdout, done
    ask("secret", "create")
    assert "secret" not in [bucket["Name"] for bucket in root.list_buckets()["Buckets"]]
    root.create_bucket(Bucket="secret")
    ask("secret", "revoke")
    ask("secret", "import", ALICE.id, "AKIDIMPORTED00000001", "--secret-file", str(secret))
    assert root.list_objects_v2(Bucket="secret")["KeyCount"] == 0
    root.put_object(Bucket="secret", Key=ALICE.id, Body=b"x")
    ask("secret", "revoke", ALICE.id)
    assert body_of(root, "secret", ALICE.id) == b"x"


def test_slow_heads_at_the_admin_listener_are_hung_up_on_and_capped(new_server):
    server = new_server(users=())
    server.start().wait_ready()
    slow = [Connection(server.admin) for _ in range(300)]
    for connection in slow:
        connection.send(b"GET /health/live HTTP/1.1\r\nhost: h\r\nx-slow:")
    assert slow[0].closed_by_peer(timeout=20)
    # Those beyond the cap have made room, too.
    wait_until(lambda: http_get(server.admin + "/health/live")[0] == 200, 30, "answered again")
    for connection in slow:
        connection.close()


def test_a_half_sent_head_does_not_hold_up_the_stop(new_server):
    server = new_server(users=())
    server.start().wait_ready()
    with Connection(server.endpoint) as s3, Connection(server.admin) as admin:
        for connection in (s3, admin):
            connection.send(b"GET /health/live HTTP/1.1\r\nhost: h\r\nx-slow:")
        http_get(server.admin + "/health/live")
        begin = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - begin < 8
    assert "drain timeout" not in server.log.read_text() and "did not end in time" not in server.log.read_text()


ROUTES = [("GET", path, "") for path in ("status", "om/roles", "scm/roles", "scm/safe-mode", "scm/pipelines", "scm/containers", "datanodes", "accounts", "kms/keys",
                                          "notifications")] + [
    ("GET", "explain", "id=" + "0" * 32), ("GET", "acl", "object=s3v"), ("PUT", "acl", "object=s3v&acl=world%3A%3Aa"), ("POST", "acl", "object=s3v&acl=world%3A%3Aa"),
    ("POST", "om/transfer", ""), ("POST", "scm/transfer", ""), ("DELETE", "scm/safe-mode", ""), ("PUT", "kms/keys", "name=taken"),
    ("POST", "iam", f"Action=ListUsers&AccountId={BOB.account}")]


@pytest.mark.parametrize("method, path, query", ROUTES, ids=lambda value: str(value)[:24])
def test_administration_is_for_administrators_alone(server, method, path, query):
    """Nobody, an account's root, a user who may everything in their account, their session, a token, an administrator's user."""
    iam = boto(server.endpoint, keys_of(ALICE), service="iam")
    name = new_name("user")
    iam.create_user(UserName=name)
    iam.attach_user_policy(UserName=name, PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    pair = iam.create_access_key(UserName=name)["AccessKey"]
    user = pair["AccessKeyId"], pair["SecretAccessKey"]
    session = boto(server.endpoint, user, service="sts").get_session_token()["Credentials"]
    asked = exchange(server.admin, Signer(*keys_of(ALICE)).sign(Request("POST", "/delegation-token"), server.admin))
    token = json.loads(asked.body)["Credentials"]
    of_admin = boto(server.endpoint, ROOT_KEYS, service="iam")
    of_admin.create_user(UserName=name)
    plain = of_admin.create_access_key(UserName=name)["AccessKey"]
    temporary = [((given["AccessKeyId"], given["SecretAccessKey"]), given["SessionToken"]) for given in (session, token)]
    for keys, along in [(None, None), (keys_of(ALICE), None), (user, None), ((plain["AccessKeyId"], plain["SecretAccessKey"]), None), *temporary]:
        request = Request(method, f"/admin/v1/{path}", query)
        if keys is None:
            request.set("host", server.admin[7:]).set("content-length", "0")
        else:
            if along:
                request.set("x-amz-security-token", along)
            Signer(*keys).sign(request, server.admin)
        response = exchange(server.admin, request)
        assert (response.status, json.loads(response.body)["code"]) == (403, "AccessDenied"), (keys, str(response))


def test_an_administrator_s_url_opens_no_administration(server):
    """Nor does a header that was added, nor a signature for another host."""
    signer = Signer(*ROOT_KEYS)
    request = Request("GET", "/admin/v1/status")
    assert exchange(server.admin, signer.presign(Request("GET", "/admin/v1/status"), server.admin)).status == 403
    signed = signer.sign(request, server.admin)
    assert exchange(server.admin, signed).status == 200
    assert exchange(server.admin, signed.set("x-amz-late", "1")).status == 403
    assert exchange(server.admin, signed.without("x-amz-late").set("host", "other.example")).status == 403


def test_a_request_for_s3_is_none_for_the_administration(users):
    """Both are signed for the service s3; `DELETE /secret` of a bucket and of one's own pairs must not be the same bytes."""
    request = Signer(*keys_of(BOB)).sign(Request("DELETE", "/secret"), users.endpoint)
    assert exchange(users.endpoint, request).status == 404
    assert exchange(users.admin, request).status == 403
    boto(users.endpoint, keys_of(BOB)).list_buckets()
