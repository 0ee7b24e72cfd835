"""The guides' own blocks, so that a guide cannot say what does not run."""

import json
import re
from pathlib import Path
from typing import Any

import yaml

GUIDES = sorted((Path(__file__).parents[2] / "docs" / "guides").glob("*.md"))
SETTINGS = "conf/mine/parameters.yml"
_BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(guide: Path, language: str) -> list[str]:
    """Return the text of the fenced blocks of this language."""
    found = _BLOCK.findall(guide.read_text(encoding="utf-8"))
    return [text for name, text in found if name == language]


def files(guide: Path, language: str) -> list[tuple[str, str]]:
    """Return the blocks whose first line, a comment, names the file that they are."""
    pairs = [(text.partition("\n")[0], text) for text in blocks(guide, language)]
    assert all(re.fullmatch(r"# \S+\.\w+", first) for first, _ in pairs), guide
    return [(first.removeprefix("# "), text) for first, text in pairs]


def settings(name: str, place: int = 0) -> dict[str, Any]:
    """Return the groups of a guide's settings, its first block of them by default."""
    (guide,) = (guide for guide in GUIDES if guide.stem == name)
    found = [text for file, text in files(guide, "yaml") if file == SETTINGS]
    return yaml.safe_load(found[place])


def rows(guide: Path) -> list[dict[str, Any]]:
    """Return the rows of a guide's JSONL blocks."""
    return [json.loads(line) for text in blocks(guide, "json") for line in text.splitlines()]


def write_files(directory: Path) -> None:
    """Write every guide's files but the settings, which hang together, into a project."""
    for guide in GUIDES:
        for name, text in [*files(guide, "python"), *files(guide, "yaml")]:
            path = directory / name
            if name != SETTINGS:
                path.parent.mkdir(parents=True, exist_ok=True)
                path.write_text(text)


def recipes(name: str) -> dict[str, dict[str, Any]]:
    """Return the ``yml`` block of each of a guide's sections, by the section's heading."""
    (guide,) = (guide for guide in GUIDES if guide.stem == name)
    sections = re.split(r"^## ", guide.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]
    found = {section.partition("\n")[0]: _BLOCK.findall(section) for section in sections}
    return {heading: yaml.safe_load(text) for heading, ((_, text),) in found.items()}
