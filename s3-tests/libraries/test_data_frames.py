"""What data people read objects with: pyarrow's own S3 client (the AWS SDK for C++), and fsspec with s3fs (aiobotocore).

They ask for ranges as a mounted file system does, list by delimiter, and write in parts while the size is not known yet.
"""

import os

import fsspec
import pandas
import pyarrow
import pyarrow.fs
import pyarrow.parquet
import pytest
import s3fs

from harness.server import ALICE, Server


@pytest.fixture(scope="session")
def server(tmp_path_factory):
    server = Server(tmp_path_factory.mktemp("server"))
    server.start().wait_ready()
    yield server
    assert server.stop() == 0, server.log_tail(15)


@pytest.fixture(scope="session")
def arrow(server):
    host = server.endpoint.removeprefix("http://")
    return pyarrow.fs.S3FileSystem(access_key=ALICE.access_key, secret_key=ALICE.secret_key, endpoint_override=host, scheme="http",
                                   region="us-east-1", allow_bucket_creation=True, allow_bucket_deletion=True)


@pytest.fixture(scope="session")
def files(server):
    return s3fs.S3FileSystem(key=ALICE.access_key, secret=ALICE.secret_key, endpoint_url=server.endpoint,
                             client_kwargs={"region_name": "us-east-1"})


def test_pyarrow_writes_a_partitioned_table_and_reads_the_columns_it_wants(arrow):
    arrow.create_dir("tables")
    table = pyarrow.table({"n": list(range(200_000)), "word": [f"word {n % 97}" for n in range(200_000)], "part": [n % 3 for n in range(200_000)]})
    pyarrow.parquet.write_to_dataset(table, "tables/set", partition_cols=["part"], filesystem=arrow)
    shown = arrow.get_file_info(pyarrow.fs.FileSelector("tables/set", recursive=False))
    assert sorted(info.base_name for info in shown) == ["part=0", "part=1", "part=2"]
    assert all(info.type == pyarrow.fs.FileType.Directory for info in shown)
    read = pyarrow.parquet.read_table("tables/set", filesystem=arrow, columns=["n"], filters=[("part", "=", 1)])
    assert read["n"].to_pylist() == list(range(1, 200_000, 3))
    arrow.delete_dir_contents("tables/set")
    arrow.delete_dir("tables")


def test_pyarrow_streams_more_than_a_part_and_seeks_in_it(arrow):
    arrow.create_dir("streams")
    body = os.urandom(23 * (1 << 20) + 7)
    with arrow.open_output_stream("streams/large", metadata={"Content-Type": "x/y"}) as out:
        for at in range(0, len(body), 1 << 20):
            out.write(body[at:at + (1 << 20)])
    with arrow.open_input_file("streams/large") as file:
        assert file.size() == len(body)
        for at, length in ((0, 10), (len(body) - 10, 10), (5 << 20, 3 << 20), (12_345_678, 1)):
            file.seek(at)
            assert file.read(length) == body[at:at + length]
    arrow.copy_file("streams/large", "streams/copy")
    arrow.move("streams/copy", "streams/moved")
    with arrow.open_input_stream("streams/moved") as stream:
        assert stream.read() == body
    arrow.delete_dir_contents("streams")


def test_s3fs_is_a_file_system(files, tmp_path):
    files.mkdir("desk")
    (tmp_path / "tree" / "deep").mkdir(parents=True)
    for name in ("a.txt", "deep/b ü.txt"):
        (tmp_path / "tree" / name).write_bytes(name.encode() * 1000)
    files.put(str(tmp_path / "tree"), "desk/tree", recursive=True)
    assert sorted(files.find("desk")) == ["desk/tree/a.txt", "desk/tree/deep/b ü.txt"]
    assert files.isdir("desk/tree") and files.isfile("desk/tree/a.txt") and not files.exists("desk/none")
    assert files.cat_file("desk/tree/a.txt", start=5, end=15) == (b"a.txt" * 1000)[5:15]
    with files.open("desk/tree/a.txt", "ab") as file:
        file.write(b"more")
    assert files.cat_file("desk/tree/a.txt") == b"a.txt" * 1000 + b"more"
    body = os.urandom(60 * (1 << 20))
    with files.open("desk/large", "wb", block_size=8 << 20) as file:
        file.write(body)
    with files.open("desk/large", "rb", block_size=1 << 20, cache_type="readahead") as file:
        file.seek(33 << 20)
        assert file.read(12345) == body[33 << 20:(33 << 20) + 12345]
    files.mv("desk/large", "desk/moved")
    assert files.info("desk/moved")["size"] == len(body)
    files.rm("desk", recursive=True)


def test_pandas_reads_through_fsspec(server, files):
    files.mkdir("frames")
    frame = pandas.DataFrame({"a": range(1000), "b": [str(n) for n in range(1000)]})
    options = {"key": ALICE.access_key, "secret": ALICE.secret_key, "endpoint_url": server.endpoint}
    for name, write, read in (("f.csv", frame.to_csv, pandas.read_csv), ("f.parquet", frame.to_parquet, pandas.read_parquet)):
        write(f"s3://frames/{name}", index=False, storage_options=options)
        back = read(f"s3://frames/{name}", storage_options=options, **({"dtype": {"b": str}} if name.endswith("csv") else {}))
        assert back["a"].tolist() == frame["a"].tolist() and back["b"].astype(str).tolist() == frame["b"].tolist()
    assert fsspec.filesystem("s3", **options).exists("frames/f.csv")
    files.rm("frames", recursive=True)
