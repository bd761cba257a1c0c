"""The command-line clients that people use, as they come: aws-cli, s3cmd, rclone, restic. Debian's rclone and restic may be absent;
then their tests are skipped and say so."""

import filecmp
import json
import os
import pathlib
import random
import shutil
import subprocess
import tomllib

import pytest

from conftest import keys_of
from harness.clients import boto, environment
from harness.server import ALICE, ROOT


@pytest.fixture
def run(server, tmp_path):
    """Runs a client that knows this server and nothing else; its output."""
    env = environment(server.endpoint, keys_of(ALICE))
    env["HOME"] = str(tmp_path)

    def run(*words, check=True, **more):
        done = subprocess.run([str(word) for word in words], env={**env, **more}, cwd=tmp_path, capture_output=True, text=True, timeout=110)
        assert not check or done.returncode == 0, f"{words}: {done.stdout[-2000:]} {done.stderr[-2000:]}"
        return done.stdout
    return run


@pytest.fixture
def tree(tmp_path):
    """Some files of all kinds: empty, nested, with spaces, larger than a part of aws-cli's multipart uploads."""
    folder = tmp_path / "tree"
    dice = random.Random(3)
    for number in range(60):
        path = folder / f"dir {number % 5}" / ("deep/" * (number % 3)) / f"file {number} ü+&.txt"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(dice.randbytes(dice.choice([0, 1, 100, 5000, 100_000])))
    (folder / "large.bin").write_bytes(dice.randbytes(20 * (1 << 20) + 11))
    return folder


def same(one, other):
    comparison = filecmp.dircmp(one, other, ignore=[])
    stack = [comparison]
    while stack:
        part = stack.pop()
        assert not part.left_only and not part.right_only and not part.funny_files, (part.left_only, part.right_only)
        _, mismatch, errors = filecmp.cmpfiles(part.left, part.right, part.common_files, shallow=False)
        assert not mismatch and not errors, mismatch
        stack += part.subdirs.values()


def test_aws_cli_copies_a_tree_there_and_back(run, bucket, tree, tmp_path):
    run("aws", "s3", "cp", "--recursive", "--no-progress", tree, f"s3://{bucket}/tree/")
    listing = run("aws", "s3", "ls", "--recursive", "--summarize", f"s3://{bucket}/")
    assert "Total Objects: 61" in listing
    run("aws", "s3", "sync", "--no-progress", f"s3://{bucket}/tree/", tmp_path / "back")
    same(tree, tmp_path / "back")
    # Nothing has changed, so nothing is copied.
    assert run("aws", "s3", "sync", tree, f"s3://{bucket}/tree/", "--size-only").strip() == ""
    run("aws", "s3", "mv", "--no-progress", f"s3://{bucket}/tree/large.bin", f"s3://{bucket}/moved.bin")
    run("aws", "s3", "rm", "--recursive", f"s3://{bucket}/tree/")
    assert run("aws", "s3", "ls", "--recursive", f"s3://{bucket}/").split()[-1] == "moved.bin"
    run("aws", "s3", "rb", "--force", f"s3://{bucket}")


@pytest.mark.parametrize("algorithm", ["CRC32", "SHA1", "SHA256"])
def test_aws_cli_checks_checksums(run, bucket, tree, algorithm):
    run("aws", "s3", "cp", "--no-progress", "--checksum-algorithm", algorithm, tree / "large.bin", f"s3://{bucket}/large")
    run("aws", "s3", "cp", "--no-progress", "--checksum-mode", "ENABLED", f"s3://{bucket}/large", "back.bin")


def test_aws_cli_prints_our_errors(run, server, bucket, tmp_path):
    env = {**environment(server.endpoint, keys_of(ALICE)), "HOME": str(tmp_path)}
    done = subprocess.run(["aws", "s3api", "get-object", "--bucket", bucket, "--key", "absent", "out"], env=env, cwd=tmp_path,
                          capture_output=True, text=True, timeout=60)
    assert done.returncode != 0 and "(NoSuchKey)" in done.stderr, done.stderr


def test_s3cmd_makes_a_round_trip(run, server, bucket, tree, tmp_path):
    host = server.endpoint.removeprefix("http://")
    config = tmp_path / "s3cfg"
    config.write_text(f"[default]\naccess_key = {ALICE.access_key}\nsecret_key = {ALICE.secret_key}\nhost_base = {host}\nhost_bucket = {host}\n"
                      "use_https = False\nsignature_v2 = False\nmultipart_chunk_size_mb = 5\n")
    s3cmd = ["s3cmd", "-c", config, "--no-progress"]
    run(*s3cmd, "put", "--recursive", f"{tree}/", f"s3://{bucket}/tree/")
    run(*s3cmd, "sync", f"s3://{bucket}/tree/", "back/")
    same(tree, tmp_path / "back")
    assert "DIR" in run(*s3cmd, "ls", f"s3://{bucket}/tree/")
    assert "MD5 sum" in run(*s3cmd, "info", f"s3://{bucket}/tree/large.bin")
    run(*s3cmd, "cp", f"s3://{bucket}/tree/large.bin", f"s3://{bucket}/copied.bin")
    run(*s3cmd, "del", "--recursive", "--force", f"s3://{bucket}")
    run(*s3cmd, "rb", f"s3://{bucket}")


@pytest.mark.skipif(shutil.which("rclone") is None, reason="rclone is not installed (apt install rclone)")
def test_rclone_makes_a_round_trip(run, server, bucket, tree, tmp_path):
    remote = {"RCLONE_CONFIG": os.devnull, "RCLONE_CONFIG_T_TYPE": "s3", "RCLONE_CONFIG_T_PROVIDER": "Other", "RCLONE_CONFIG_T_ENV_AUTH": "true",
              "RCLONE_CONFIG_T_ENDPOINT": server.endpoint, "RCLONE_CONFIG_T_REGION": "us-east-1", "RCLONE_S3_CHUNK_SIZE": "5M",
              "RCLONE_S3_UPLOAD_CUTOFF": "8M"}
    run("rclone", "copy", tree, f"t:{bucket}/tree", **remote)
    run("rclone", "check", tree, f"t:{bucket}/tree", "--download", **remote)
    run("rclone", "copy", f"t:{bucket}/tree", "back", **remote)
    same(tree, tmp_path / "back")
    assert len(run("rclone", "lsf", "-R", "--files-only", f"t:{bucket}", **remote).splitlines()) == 61
    run("rclone", "purge", f"t:{bucket}/tree", **remote)


@pytest.mark.skipif(shutil.which("restic") is None, reason="restic is not installed (apt install restic)")
def test_restic_keeps_backups(run, server, bucket, tree, tmp_path):
    repository = ["restic", "--no-cache", "-r", f"s3:{server.endpoint}/{bucket}/backups"]
    secret = {"RESTIC_PASSWORD": "of the test"}
    run(*repository, "init", **secret)
    run(*repository, "backup", tree, **secret)
    (tree / "large.bin").write_bytes(b"changed")
    run(*repository, "backup", tree, **secret)
    run(*repository, "check", "--read-data", **secret)
    run(*repository, "forget", "--keep-last", "1", "--prune", **secret)
    run(*repository, "check", "--read-data", **secret)
    run(*repository, "restore", "latest", "--target", tmp_path / "back", **secret)
    same(tree, tmp_path / "back" / tree.relative_to("/"))
    assert len(json.loads(run(*repository, "snapshots", "--json", **secret))) == 1


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_aws_cli_copies_a_source_tree_and_two_gibibytes(run, server, bucket, tmp_path):
    """The whole of a real tree (a Python installation), and a file that takes hundreds of parts."""
    tree = pathlib.Path(os.__file__).parent
    env = {**environment(server.endpoint, keys_of(ALICE)), "HOME": str(tmp_path)}

    def aws(*words):
        done = subprocess.run(["aws", "s3", *map(str, words)], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=1500)
        assert done.returncode == 0, done.stderr[-2000:]
        return done.stdout
    aws("cp", "--recursive", "--no-progress", "--no-follow-symlinks", tree, f"s3://{bucket}/tree/")
    aws("cp", "--recursive", "--no-progress", f"s3://{bucket}/tree/", "back")
    files = [path for path in tree.rglob("*") if path.is_file() and not path.is_symlink()]
    assert len(files) >= 3000
    for path in files:
        if not any(parent.is_symlink() for parent in path.parents):
            assert filecmp.cmp(path, tmp_path / "back" / path.relative_to(tree), shallow=False), path
    large = tmp_path / "large"
    with open(large, "wb") as file:
        for _ in range(256):
            file.write(os.urandom(8 << 20))
    aws("cp", "--no-progress", large, f"s3://{bucket}/large")
    aws("cp", "--no-progress", f"s3://{bucket}/large", "large-back")
    assert filecmp.cmp(large, tmp_path / "large-back", shallow=False)


def test_the_lines_of_the_readme_work_as_printed(server, tmp_path):
    """The shell lines of README.md that use the server, run as they stand, against this server."""
    text = (ROOT / "README.md").read_text()
    blocks = [block.partition("\n")[2] for block in text.split("```")[1::2] if block.startswith("sh\n") and "aws s3" in block]
    assert blocks, "no block of shell lines with `aws s3` in README.md"
    env = environment(server.endpoint, keys_of(ALICE))
    # The lines may configure a client: in a home of their own.
    env["HOME"] = str(tmp_path)
    env.pop("AWS_CONFIG_FILE")
    (tmp_path / "README.md").write_text(text)
    for block in blocks:
        lines = "\n".join(line for line in block.splitlines() if not line.startswith("export AWS_"))
        done = subprocess.run(["bash", "-euo", "pipefail", "-c", lines], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, f"{lines}\n{done.stdout}\n{done.stderr}"
    python = [block.partition("\n")[2] for block in text.split("```")[1::2] if block.startswith("python\n")]
    assert python, "no block of Python in README.md"
    for block in python:
        code = block.replace("http://127.0.0.1:9878", server.endpoint)
        done = subprocess.run(["python", "-c", code], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, f"{code}\n{done.stderr}"


def test_the_configuration_of_the_readme_is_taken_as_printed(new_server):
    text = (ROOT / "README.md").read_text()
    blocks = [block.partition("\n")[2] for block in text.split("```")[1::2] if block.startswith("toml\n")]
    assert blocks, "no block of toml in README.md"
    for block in blocks:
        server = new_server(users=(), config=block)
        server.start().wait_ready()
        settings = tomllib.loads(block)
        user = settings["user"][0]
        client = boto(server.endpoint, (user["access_key"], user["secret_key"]))
        owned = {bucket["name"] for bucket in settings["bucket"] if bucket["owner"] == user["id"]}
        assert owned and {bucket["Name"] for bucket in client.list_buckets()["Buckets"]} == owned
