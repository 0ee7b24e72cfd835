"""What judges answers is looked for before a teacher is asked, and paid."""

from pathlib import Path
from typing import Any

import pytest

from persyn_kedro.api import label as labelling
from persyn_kedro.api.generate import generate
from persyn_kedro.api.label import label
from persyn_kedro.api.pool import Pool
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings import read_group


@pytest.fixture
def pool(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pool:
    def never(*_: Any, **__: Any) -> None:
        raise AssertionError("A teacher would have been asked.")

    monkeypatch.setattr(labelling, "answer_by_design", never)
    teachers = {name: {"model": "small", "system": name} for name in ("brief", "long")}
    return Pool(
        read_group("models", {"small": {"random": "chat"}}),
        read_group("teachers", teachers),
        read_group("student", {"model": "small"}),
        read_group("engine", {"name": "transformers"}),
        0,
        tmp_path,
    )


MISSING = [
    ({"quality": {"kind": "imported", "file": "none.jsonl", "score": "good"}}, "The file none"),
    ({"quality": {"kind": "reward_model", "model": "skywork"}}, "label.quality.model is 'skywork'"),
    ({"quality": {"kind": "none.py:good"}}, "none.py"),
    ({"quality": {"kind": "judge", "model": "small", "rubric": "none.yml"}}, "none.yml"),
    (
        {
            "quality": {
                "kind": "judge",
                "model": "small",
                "rubric": "correctness",
                "structured": True,
            }
        },
        "label.quality.structured: model 'small' is local",
    ),
    ({"learnability": "none.py:learnable"}, "none.py"),
    (
        {
            "quality": [
                {"kind": "exact_answer"},
                {"kind": "judge", "model": "big", "rubric": "correctness"},
            ]
        },
        r"label.quality.1.model is 'big', which is not in models",
    ),
]


@pytest.mark.parametrize(("settings", "told"), MISSING)
def test_labelling_refuses_what_is_not_there(
    settings: dict[str, Any], told: str, pool: Pool
) -> None:
    with pytest.raises(PersynError, match=told):
        label(["What is 1 + 1?"], pool, **settings)


def test_choosing_the_best_of_several_answers_does_so_too(pool: Pool) -> None:
    import pyarrow as pa

    missing = {"kind": "reward_model", "model": "skywork"}
    with pytest.raises(PersynError, match="label.quality.model is 'skywork'"):
        generate(["What is 1 + 1?"], pa.table({}), pool, quality=missing)
