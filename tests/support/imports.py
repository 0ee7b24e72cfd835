"""What a run's own process has imported; its models' processes import for themselves."""

import subprocess

import pytest

TOLD = {"PYTHONPROFILEIMPORTTIME": "1"}  # in the environment of a run
FOR_MODELS = {"torch", "transformers", "trl", "peft", "accelerate", "vllm"}


def packages_imported(done: "subprocess.CompletedProcess[str]") -> set[str]:
    """Return the packages of which a run that was ``TOLD`` has imported a module within.

    Of a package that is not there, Python lists its own name too.
    """
    if not done.shared:  # type: ignore[attr-defined]
        pytest.skip("the server of this run's models told its imports too")
    lines = [x for x in done.stderr.splitlines() if x.startswith("import time:")]
    modules = [line.rpartition("|")[2].strip() for line in lines]
    found = {module.partition(".")[0] for module in modules if "." in module}
    assert "persyn_kedro" in found, done.stderr[-2000:]
    return found
