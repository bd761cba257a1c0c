"""The judges judged: the workload notices what was lost or changed, and the tally what nobody expected."""

import pytest

from conftest import keys_of
from expectations import Expectations, Tally
from harness.server import ALICE
from harness.workload import Violation, Workload
from processes import wait_until


@pytest.fixture
def worked(server, bucket):
    """A workload that has ended well, over some objects."""
    load = Workload([server.endpoint], keys_of(ALICE), bucket, clients=3, multipart=0, seed=5).start()
    wait_until(lambda: load.total() >= 30, 60, "30 writes")
    load.stop()
    assert load.verify() > 0
    return load


def settled(load):
    """A key whose fate is certain and that holds something."""
    return next(key for worker in load.workers for key, value in worker.values.items()
                if key.startswith("once/") and value.settled and value.settled[1] > 0 and not value.open)


def test_a_lost_object_is_noticed(worked, s3, bucket):
    s3.delete_object(Bucket=bucket, Key=settled(worked))
    with pytest.raises(Violation, match="is gone"):
        worked.verify()


def test_a_changed_byte_is_noticed(worked, s3, bucket):
    key = settled(worked)
    body = bytearray(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
    body[-1] ^= 1
    s3.put_object(Bucket=bucket, Key=key, Body=bytes(body))
    with pytest.raises(Violation, match="none of"):
        worked.verify()


def test_an_object_that_nobody_wrote_is_noticed(worked, s3, bucket):
    s3.put_object(Bucket=bucket, Key="once/0/never", Body=b"")
    with pytest.raises(Violation, match="never written"):
        worked.verify()


def test_a_register_may_hold_only_what_is_open_or_settled(worked, s3, bucket):
    key = next((key for worker in worked.workers for key in worker.values if key.startswith("register/")), None)
    assert key, "no register was written: choose another seed"
    s3.put_object(Bucket=bucket, Key=key, Body=b"an old value")
    with pytest.raises(Violation):
        worked.verify()


def case(name, outcome):
    return {"case": name, "outcome": outcome, "seconds": 0.0, "why": "because"}


@pytest.fixture
def expectations():
    areas = [{"name": "lists", "cases": ["test_list_*"]}, {"name": "locks", "cases": ["test_lock_*"]}, {"name": "rest", "cases": ["test_*"]}]
    return Expectations(areas, [{"reason": "not built", "areas": ["locks"]}, {"reason": "impossible", "cases": ["test_list_b", "test_enc[kms-1]"]}])


def test_only_a_failure_that_nobody_expected_counts(expectations):
    tally = Tally(expectations, [case("test_list_a", "passed"), case("test_list_b", "failed"), case("test_lock_x", "error"),
                                 case("test_list_c", "failed"), case("test_other", "skipped"), case("test_enc[kms-1]", "failed"),
                                 case("test_enc[kms-2]", "failed")])
    assert sorted(c["case"] for c in tally.unexpected) == ["test_enc[kms-2]", "test_list_c"]
    assert tally.rows["lists"] == {"passed": 1, "expected": 1, "failed": 1, "skipped": 0}
    assert tally.rows["locks"] == {"passed": 0, "expected": 1, "failed": 0, "skipped": 0}
    assert tally.table().splitlines()[-1].split() == ["all", "7", "1", "2", "3", "1"]


def test_a_named_case_that_passes_is_pointed_out(expectations):
    assert Tally(expectations, [case("test_list_b", "passed"), case("test_lock_x", "passed")]).better == ["test_list_b"]


def test_an_expectation_needs_a_reason_and_an_area_that_exists():
    areas = [{"name": "rest", "cases": ["test_*"]}]
    with pytest.raises(ValueError, match="no reason"):
        Expectations(areas, [{"cases": ["test_a"]}])
    with pytest.raises(ValueError, match="an area that is none"):
        Expectations(areas, [{"reason": "x", "areas": ["elsewhere"]}])


def test_our_own_list_is_well_formed():
    expectations = Expectations.load()
    assert expectations.area("test_anything_at_all") == "buckets"
    assert expectations.reason("test_object_create_bad_contentlength_none")
