"""Every user's error leads to a section of docs/errors.md, which quotes sentences that exist."""

import ast
import re
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from persyn_kedro.cli import topics
from persyn_kedro.cli.errors import one_sentence
from persyn_kedro.domain.prompts.messages import read_messages
from persyn_kedro.foundations.errors import PersynError

ROOT = Path(__file__).parents[3]
SOURCE = ROOT / "src" / "persyn_kedro"
PAGE = (ROOT / topics.PAGE).read_text()
RAISES = re.compile(r"raise \w*(Error|Waiting)\(|class \w+\(PersynError\)")


def _module(path: Path) -> str:
    return ".".join(path.relative_to(SOURCE.parent).with_suffix("").parts)


def _texts() -> str:
    """Return all texts in the sources, with … for what is filled in."""
    found = []
    for path in SOURCE.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.JoinedStr):
                parts = (p.value if isinstance(p, ast.Constant) else "…" for p in node.values)
                found.append("".join(map(str, parts)))
            elif isinstance(node, ast.Constant) and isinstance(node.value, str):
                found.append(node.value)
    return "\n".join(found)


def test_every_section_is_on_the_page() -> None:
    titles = re.findall(r"^## (.+)$", PAGE, re.MULTILINE)
    anchors = {title.lower().replace(" ", "-") for title in titles}
    assert set(topics.SECTIONS.values()) == {a for a in anchors if a != "frequent-questions"}


def test_every_module_that_refuses_something_has_a_section_of_its_own_rule() -> None:
    modules = [_module(p) for p in SOURCE.rglob("*.py") if RAISES.search(p.read_text())]
    rooms = {".".join(m.split(".")[1:3]) for m in modules if m.split(".")[1] == "domain"}
    assert len(modules) > 100
    assert rooms <= topics.SECTIONS.keys()
    assert {m.split(".")[1] for m in modules} <= {n.split(".")[0] for n in topics.SECTIONS}


@pytest.mark.parametrize(
    ("module", "section"),
    [
        ("persyn_kedro.domain.quality.judge.rubric", "quality"),
        ("persyn_kedro.domain.quality_comparison.kinds", "quality"),
        ("persyn_kedro.pipelines.label.nodes", "calibration"),
        ("persyn_kedro.pipelines.plan.nodes", "results"),
        ("my_own_code", "settings"),
    ],
)
def test_the_longest_name_counts(module: str, section: str) -> None:
    assert topics.section_of(module) == section


def test_an_error_prints_its_link(monkeypatch: pytest.MonkeyPatch) -> None:
    @click.command()
    def command() -> None:
        with one_sentence():
            read_messages([], "Row 3")

    monkeypatch.setattr(topics, "metadata", _Metadata)
    done = CliRunner().invoke(command)
    assert done.exit_code == 1
    assert done.output.startswith("Error: Row 3 ")
    assert done.output.splitlines()[-1] == "More: https://docs.example/errors/#prompts"


class _Metadata:
    def __init__(self, name: str) -> None:
        self.name = name

    def get_all(self, key: str) -> list[str]:
        assert (self.name, key) == ("persyn-kedro", "Project-URL")
        return ["Homepage, https://example", "Documentation, https://docs.example/"]


def test_without_an_installed_package_the_link_is_the_page_s(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(topics, "metadata", missing)
    assert topics.link_to("prompts") == "docs/errors.md#prompts"


def test_an_error_knows_the_module_that_raised_it() -> None:
    with pytest.raises(PersynError) as caught:
        read_messages([], "Row 3")
    assert caught.value.raised_in.startswith("persyn_kedro.")
    assert PersynError("mine").raised_in == __name__


def test_what_the_page_quotes_is_said() -> None:
    said = _texts()
    errors = PAGE.partition("## Frequent questions")[0].partition("## Commands")[2]
    lines = [line for line in errors.splitlines() if line.startswith(("- `", "| `", "- …"))]
    quoted = [
        piece.strip(" :")
        for line in lines
        for text in re.findall(r"`([^`]+)`", re.split(r"`: |` \||; ", line)[0] + "`")
        for piece in text.split("…")
    ]
    pieces = [p for p in quoted if " " in p]
    assert len(pieces) > 40
    assert [p for p in pieces if p not in said] == []
