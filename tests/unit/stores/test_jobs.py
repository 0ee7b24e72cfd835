"""The records of batch jobs."""

from pathlib import Path

import pytest

from persyn_kedro.domain.stores.jobs import JobStore
from persyn_kedro.domain.stores.tables import ResponseStore
from persyn_kedro.foundations.errors import PersynError


def test_a_job_is_open_from_its_intent_to_its_end(tmp_path: Path) -> None:
    jobs = JobStore(tmp_path)
    assert jobs.open("openai", "m") == []
    job = jobs.intend("openai", "m", ["a", "b"])
    assert jobs.open("openai", "m") == [job] and job.sent is None
    sent = jobs.sent(job, "batch_1")
    assert jobs.open("openai", "m") == [sent] and sent.sent == "batch_1"
    assert jobs.open("openai", "other") == jobs.open("anthropic", "m") == []
    jobs.end(sent, "collected")
    assert jobs.open("openai", "m") == [] and jobs.known_ids() == {"batch_1"}


def test_a_directory_without_an_intent_is_no_job(tmp_path: Path) -> None:
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / ".intent.json.x.tmp").write_text("{")
    assert JobStore(tmp_path).open("openai", "m") == []


def test_a_damaged_record_names_itself_and_the_remedy(tmp_path: Path) -> None:
    jobs = JobStore(tmp_path)
    job = jobs.intend("openai", "m", ["a"])
    path = tmp_path / job.name / "intent.json"
    path.write_text("{")
    with pytest.raises(PersynError, match=f"{path} is damaged .* delete {path.parent}"):
        jobs.open("openai", "m")


def test_the_records_lie_in_the_response_store(tmp_path: Path) -> None:
    assert ResponseStore(tmp_path).jobs.root == tmp_path / "batches"
