"""The pages outside of the guides: each is found, and what it tells to type is read."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from kedro.config import OmegaConfigLoader

from persyn_kedro.foundations.models.zoo import zoo_model
from persyn_kedro.foundations.settings import GROUPS, read_settings

ROOT = Path(__file__).parents[3]
PAGES = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]
BLOCKS = [
    pytest.param(text, id=f"{name}-{place}")
    for name in ("README", "docs/comparing", "docs/customising", "docs/usage")
    for place, text in enumerate(
        re.findall(r"^```yaml\n(.*?)^```", (ROOT / f"{name}.md").read_text(), re.M | re.S)
    )
]


def demo() -> dict[str, Any]:
    loader = OmegaConfigLoader(str(ROOT / "conf"), base_env="base", default_run_env="base")
    return loader["parameters"]


def test_every_page_is_linked_to_from_another() -> None:
    linked = {
        (page.parent / target).resolve()
        for page in PAGES
        for target in re.findall(r"\]\(([^)#\s]+)", page.read_text())
        if "://" not in target and (page.parent / target).resolve() != page
    }
    assert {page for page in PAGES if page.name != "README.md"} <= linked


@pytest.mark.parametrize("text", BLOCKS)
def test_a_pages_settings_are_read_over_the_demos(text: str) -> None:
    own = yaml.safe_load(text)
    assert own.keys() <= GROUPS.keys()
    settings = read_settings({**demo(), **own})
    named = {each.teacher for each in settings.compare.variants.values()} - {None}
    assert named <= set(settings.teachers.root)


def test_the_size_of_the_demos_wheels_is_said() -> None:
    settings = read_settings(demo())
    used = {teacher.model for teacher in settings.teachers.root.values()} | {settings.student.model}
    megabytes = sum(zoo_model(str(settings.models.root[name].zoo)).megabytes for name in used)
    said = " ".join((ROOT / "README.md").read_text().split())
    assert f"quantised copies ({megabytes / 1000:.1f} GB)" in said
