"""Each order of roles is given to every template that will read it, before a call."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from persyn_kedro.domain.prompts import templates
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.read import Settings, read_settings
from persyn_kedro.foundations.tables.schemas import SOURCE_PROMPTS
from persyn_kedro.runs.template_checks import TemplateChecks
from tests.support.settings import SHORTEST
from tests.support.talks import STRICT

pytestmark = pytest.mark.usefixtures("only_tokenizers")
JUDGED = {"quality": {"kind": "reward_model", "model": "strict"}}
TALK = [{"role": role, "content": "What is 2 plus 1?"} for role in ("user", "tool", "user")]


def settings(**changes: Any) -> Settings:
    models = {**SHORTEST["models"], "strict": {"random": "chat", "chat_template": STRICT}}
    teachers = {name: {"model": "a", "system": name} for name in "xy"}
    return read_settings({**SHORTEST, "models": models, "teachers": teachers, **changes})


def check_templates(tables: list[pads.Dataset], told: Settings, resolved: set[str]) -> None:
    TemplateChecks(told, resolved).check({f"table {n}": t for n, t in enumerate(tables)})


def prompts(*talks: list[dict[str, str]] | None) -> pads.Dataset:
    rows = [
        {"prompt_id": f"id{n}", "prompt": "p", "messages": talk} for n, talk in enumerate(talks)
    ]
    return pads.dataset(pa.Table.from_pylist(rows, SOURCE_PROMPTS))


@pytest.mark.parametrize(
    ("user", "changes"),
    [
        ("student.model", {"student": {"model": "strict"}}),
        ("train_router.backbone", {"train_router": {"backbone": "strict"}}),
        ("label.quality.model", {"label": JUDGED}),
        ("teachers.y.model", {"teachers": {"x": {"model": "a"}, "y": {"model": "strict"}}}),
    ],
)
def test_a_model_whose_template_rejects_the_roles_is_named(
    user: str, changes: dict[str, Any]
) -> None:
    told = settings(**changes)
    with pytest.raises(PersynError, match=r"id1 .*cannot be given to model 'strict'") as error:
        check_templates([prompts(None, TALK)], told, {"a", "strict"})
    assert f"'strict' ({user})" in str(error.value) and "No tools here." in str(error.value)
    check_templates([prompts(None, TALK[:1])], told, {"a", "strict"})


def test_a_model_that_reads_no_conversation_is_not_asked(tmp_path: Path) -> None:
    check_templates([prompts(None, TALK)], settings(), {"a", "strict"})
    missing = settings(student={"model": "gone"}, models={
        **SHORTEST["models"], "gone": {"local": str(tmp_path / "none")},
    })  # fmt: skip
    check_templates([prompts(None, None)], missing, {"gone"})
    with pytest.raises(PersynError):
        check_templates([prompts(TALK)], missing, {"gone"})


def test_each_table_is_checked_once_in_a_run(monkeypatch: pytest.MonkeyPatch) -> None:
    checks, rendered = TemplateChecks(settings(), {"a"}), []
    monkeypatch.setattr(templates, "check_roles", rendered.extend)
    checks.check({"source_prompts": prompts(None, TALK), "rewards": None})
    once = len(rendered)
    assert once >= 2  # the student and two teachers
    checks.check({"source_prompts": prompts(None, TALK)})
    assert len(rendered) == once
    checks.check({"source_prompts": prompts(None, TALK), "prompts": prompts(TALK)})
    assert len(rendered) == 2 * once
