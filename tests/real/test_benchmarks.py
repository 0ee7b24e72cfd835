"""A benchmark that reaches into the router for its parts still runs, with checked scores."""

import subprocess
import sys

import pytest

from tests.conftest import ROOT

pytestmark = pytest.mark.real


def test_routing_is_timed_against_a_bare_forward_with_the_same_scores() -> None:
    command = [sys.executable, ROOT / "benchmarks/routing.py", "--prompts", "4", "--repeats", "1"]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "| bare forward |" in done.stdout and "| ours |" in done.stdout
