"""The whole DAG with its data in a bucket of an S3 server."""

import json
import shutil

import pytest

from tests.conftest import Run, make_project
from tests.support import guides
from tests.support.catalog import load
from tests.support.s3_server import BUCKET
from tests.support.same_data import differences, newest_data

WHOLE = f"s3://{BUCKET}/whole"  # where the data of a whole run lie


@pytest.fixture(scope="module")
def in_a_bucket(s3_server: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Run:
    """A project whose whole DAG has run once with its data in a bucket, by the guide's setting."""
    run = make_project(tmp_path_factory.mktemp("bucket"))
    where = run.directory / "conf" / "smoke" / "globals.yml"  # type: ignore[attr-defined]
    (guide,) = (guide for guide in guides.GUIDES if guide.stem == "remote_data")
    (text,) = guides.blocks(guide, "yml")
    assert "data: s3://my-bucket/persyn" in text and "workspace: scratch" in text
    where.write_text(text.replace("s3://my-bucket/persyn", WHOLE))
    run("run", "--env=smoke")
    return run


def test_the_smoke_run_in_a_bucket_equals_that_on_a_disk(smoke_run: Run, in_a_bucket: Run) -> None:
    here = in_a_bucket.directory  # type: ignore[attr-defined]
    kept = {path.name for path in (here / "data").rglob("*") if path.is_file()}
    assert kept <= {".gitkeep"} and list((here / "scratch" / "workspaces").iterdir())
    disk = newest_data(smoke_run.directory)  # type: ignore[attr-defined]
    assert list(differences(newest_data(here), disk)) == []


def test_a_second_run_in_a_bucket_skips_all_and_the_commands_work(in_a_bucket: Run) -> None:
    again = in_a_bucket("run", "--env=smoke")
    written = again.stdout + again.stderr
    assert written.count("Skipped ") > 10 and "Running prepare" not in written
    directory = in_a_bucket.directory  # type: ignore[attr-defined]
    assert load(directory, "run_manifest")["teachers"] == {}
    prompt = load(directory, "sft_dataset")[0]["prompt_id"]
    assert "teacher" in in_a_bucket("trace", prompt[:10], "--env=smoke").stdout
    assert "margin" in in_a_bucket("explain", prompt[:10], "--env=smoke").stdout
    assert "would be removed" in in_a_bucket("prune", "--env=smoke", "--keep=1").stdout
    shown = json.loads((directory / ".viz" / "stats.json").read_text())
    assert shown["sft_dataset"]["rows"] == len(load(directory, "sft_dataset"))


def test_a_bucket_that_is_not_there_stops_the_run_before_any_step(in_a_bucket: Run) -> None:
    base = in_a_bucket.directory / "conf" / "nowhere"  # type: ignore[attr-defined]
    shutil.copytree(base.parent / "smoke", base)
    (base / "globals.yml").write_text("data: s3://nobody/x\n")
    done = in_a_bucket("run", "--env=nowhere", check=False)
    assert done.returncode == 1 and "Traceback" not in done.stderr and "Running " not in done.stdout
    (line,) = [x for x in done.stderr.splitlines() if x.startswith("Error: ")]
    assert "s3://nobody/x" in line and "bucket does not exist" in line
