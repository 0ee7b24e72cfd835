"""What CI runs: in a cache of its own, which goes with it; what was downloaded stays."""

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from tests.conftest import ROOT

FAKE_MAKE = """#!/bin/sh
echo "make $*"
ls -A "$PERSYN_CACHE"
touch "$PERSYN_CACHE/derived" "$HOME/cache"
echo "$PERSYN_CACHE" > "$HOME/cache"
echo "$PERSYN_ARCHIVES" > "$HOME/archives"
echo "12 passed in 3.45s"
exit {code}
"""


@pytest.mark.parametrize("code", [0, 1])
@pytest.mark.parametrize("cache", [None, "elsewhere"])
def test_ci_runs_the_tests_in_a_new_cache_and_ends_on_their_last_line(
    tmp_path: Path, code: int, cache: str | None
) -> None:
    commands = tmp_path / "bin"
    commands.mkdir()
    for name, text in (
        ("make", FAKE_MAKE.format(code=code)),
        ("chromium", "#!/bin/sh\n"),
        ("bwrap", "#!/bin/sh\n"),
    ):
        (commands / name).write_text(text)
        (commands / name).chmod(0o755)
    environment = {"PATH": f"{commands}:{os.environ['PATH']}", "HOME": str(tmp_path)}
    own = tmp_path / (cache or ".cache/persyn-kedro")
    if cache:
        environment["PERSYN_CACHE"] = str(own)
    done = subprocess.run([ROOT / ".ci" / "run"], env=environment, capture_output=True, text=True)
    assert done.returncode == code and done.stderr == ""
    assert done.stdout.splitlines() == ["make test", "12 passed in 3.45s"]  # the cache was empty
    used = Path((tmp_path / "cache").read_text().strip())
    assert used.is_absolute() and used != own and not used.exists()
    assert (tmp_path / "archives").read_text().strip() == str(own / "archives")


def test_locks_are_not_updated_one_by_one() -> None:
    found = yaml.safe_load((ROOT / ".github" / "dependabot.yml").read_text())["updates"]
    (pip,) = (each for each in found if each["package-ecosystem"] == "pip")
    assert "requirements/**" in pip["exclude-paths"]


def test_a_tag_is_published_only_after_its_tests() -> None:
    workflows = ROOT / ".github" / "workflows"
    read = {
        path.stem: yaml.load(path.read_text(), yaml.BaseLoader) for path in workflows.glob("*.yml")
    }
    jobs = read["release"]["jobs"]
    assert jobs["tests"] == {"uses": "./.github/workflows/tests.yml"}
    assert "workflow_call" in read["tests"]["on"]
    publishing = {
        name: job for name, job in jobs.items() if "gh-action-pypi-publish" in str(job.get("steps"))
    }
    assert publishing and all("tests" in job["needs"] for job in publishing.values())
