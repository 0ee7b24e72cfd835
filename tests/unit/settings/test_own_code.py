"""The user's own quality, signal and router: what is refused, and what hangs on their files."""

import logging
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from pydantic import ValidationError

from persyn_kedro.domain.quality.checking import check_quality
from persyn_kedro.domain.quality.own_function import OwnFunction
from persyn_kedro.domain.rewards.reward import compute_rewards
from persyn_kedro.domain.routers.registry import load_router
from persyn_kedro.domain.routers.saving import write_description
from persyn_kedro.domain.stores.tables import QualityStore
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.label import LabelSettings, QualitySettings
from persyn_kedro.foundations.settings.routers import TrainRouterSettings
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.pipelines.label import judging, nodes
from persyn_kedro.runs import fingerprints
from persyn_kedro.runs.pool_checks import check_own_code

QUALITY = "q.py:quality"


@pytest.fixture(autouse=True)
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(file: str, text: str) -> None:
    Path(file).write_text(text)


@pytest.mark.parametrize(
    ("settings", "kind", "sentence"),
    [
        (
            QualitySettings,
            "exact",
            "must be exact_answer, reward_model, code, judge, imported or your own",
        ),
        (QualitySettings, "/tmp/q.py:quality", "must be in the project"),
        (QualitySettings, "../q.py:quality", "must be in the project"),
        (
            TrainRouterSettings,
            "forest",
            "must be language_model, linear, mlp, knn, task_type, constant, ensemble, auto or your",
        ),
        (TrainRouterSettings, "r.py", "or your own file.py:name"),
    ],
)
def test_what_names_no_kind_is_refused(settings: Any, kind: str, sentence: str) -> None:
    with pytest.raises(ValidationError, match=sentence):
        settings(kind=kind)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (None, "Cannot read q.py: No such file"),
        ("x = 1\n", "q.py does not define 'quality'"),
        ("def quality(:\n", "Cannot import q.py: SyntaxError"),
        ("raise KeyError('k')\n", "Cannot import q.py: KeyError: 'k'"),
        ("quality = 1\n", "q.py:quality is not a function"),
        (
            "def quality(prompt, response): ...\n",
            "a function of prompt, response, reference: too m",
        ),
    ],
)
def test_a_file_that_holds_no_such_function_is_one_sentence(
    text: str | None, sentence: str
) -> None:
    if text is not None:
        write("q.py", text)
    label = LabelSettings(quality={"kind": QUALITY})  # type: ignore[arg-type]
    with pytest.raises(PersynError, match=sentence) as caught:
        check_own_code(label, [])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("class R: ...\n", "r.py:R is not a subclass of persyn_kedro.domain.routers.base.Teach"),
        (
            "from persyn_kedro.domain.routers.base import TeacherRouter\n"
            "class R(TeacherRouter):\n    def write_fitted(self, directory): ...\n",
            "r.py:R does not implement fit_valid, read_fitted, score_batches",
        ),
    ],
)
def test_a_class_that_is_no_whole_router_is_one_sentence(text: str, sentence: str) -> None:
    write("r.py", text)
    with pytest.raises(PersynError, match=sentence):
        check_own_code(LabelSettings(), ["knn", "r.py:R"])


def judged(*responses: str) -> list[float | None]:
    """Return the qualities of these answers to one prompt, from a store that stays."""
    rows = [
        {
            "teacher": f"t{i}",
            "response_key": f"{i}-{text}",
            "prompt_id": "p",
            "response": text,
            "sample_index": 0,
            "finish_reason": "stop",
        }
        for i, text in enumerate(responses)
    ]
    prompt = {"prompt_id": "p", "prompt": "?", "reference": "7", "source": "f"}
    prompt |= {"messages": None, "metadata": None}
    table = check_quality(
        pa.Table.from_pylist(rows, schemas.RESPONSES),
        {"p": prompt},
        {row["teacher"]: "strip" for row in rows},
        OwnFunction(QUALITY),
        QualityStore(Path("store")),
    )
    return table["quality"].to_pylist()


def test_a_changed_function_is_asked_again_and_an_unchanged_one_is_not() -> None:
    asked = "import pathlib\n\ndef quality(prompt, response, reference):\n" + (
        "    with open('asked', 'a') as file:\n        file.write(response[-1])\n"
    )
    write("q.py", asked + "    return len(response) + float(reference)\n")
    assert judged("a", "<think>b</think>bb") == [8.0, 9.0]  # thinking is stripped
    assert judged("a", "<think>b</think>bb", "c") == [8.0, 9.0, 8.0]
    assert Path("asked").read_text() == "abc"
    write("q.py", asked + "    return len(response) - float(reference)\n")
    assert judged("a") == [-6.0]
    write("q.py", asked + "    return len(response) + float(reference)\n")
    assert judged("a") == [8.0]  # the old file's results are still there
    assert Path("asked").read_text() == "abca"


def test_what_cannot_be_told_is_unknown_and_asked_again(caplog: pytest.LogCaptureFixture) -> None:
    write("q.py", "def quality(p, r, reference):\n    return {'n': None, 'i': 1e999, 't': True}[r]")
    with caplog.at_level(logging.WARNING):
        assert judged("n", "i", "t", "x", "y") == [None, None, 1.0, None, None]
    assert "q.py:quality failed on 2 responses" in caplog.text and "KeyError: 'x'" in caplog.text
    write("q.py", "def quality(p, r, reference):\n    return 'good'")
    with pytest.raises(PersynError, match="q.py:quality returned 'good'; it must return a number"):
        judged("n")


def rewards(**settings: Any) -> list[dict[str, Any]]:
    """Return the rewards of two answers whose tokens' log p the student has stored."""
    rows = [
        {
            "prompt_id": "p", "teacher": t, "response_key": t, "response": "r",
            "sample_index": 0, "finish_reason": "stop",
            "tokens": len(logp), "sum_logp": sum(logp), "logp": logp,
            "sum_rank_100": 3.0, "sum_p2": 1.0, "sum_p_true": 1.0, "quality": 1.0,
        }
        for t, logp in (("a", [-1.0, -2.0]), ("b", [-0.5, -4.0]))
    ]  # fmt: skip
    tables = [
        pa.Table.from_pylist(rows, schema)
        for schema in (schemas.RESPONSES, schemas.TOKEN_STATISTICS, schemas.QUALITY)
    ]
    return compute_rewards(*tables, ["a", "b"], LabelSettings(**settings)).to_pylist()


def test_learnability_is_the_function_of_all_statistics_that_the_settings_name() -> None:
    write("s.py", "def signal(s):\n    return -min(s['logp']) * s['sum_rank_100']\n")
    found = rewards(learnability="s.py:signal", alpha=1.0)
    assert [row["learnability"] for row in found] == [6.0, 12.0]
    assert [row["reward"] for row in found] == [0.0, 1.0]  # the mean log-likelihood says a
    assert [row["reward"] for row in rewards(alpha=1.0)] == [1.0, 0.0]


def test_a_signal_that_is_none_leaves_the_answer_out_and_one_that_fails_is_one_sentence() -> None:
    write("s.py", "def signal(s):\n    return None if s['tokens'] * -4 < s['sum_logp'] * 2 else 1")
    assert [row["valid"] for row in rewards(learnability="s.py:signal")] == [False, True]
    write("s.py", "def signal(s):\n    return s['nothing']")
    with pytest.raises(PersynError, match=r"s.py:signal failed on response a: KeyError: 'nothing'"):
        rewards(learnability="s.py:signal")


def test_a_step_hangs_on_the_files_that_it_reads_alone() -> None:
    write("q.py", "def quality(prompt, response, reference): ...\n")
    write("s.py", "def signal(statistics): ...\n")
    label = LabelSettings(quality={"kind": QUALITY}, learnability="s.py:signal")  # type: ignore

    def reading(function: Any) -> dict[str, Any]:
        return fingerprints.reading(function, {"settings": ("label", label)}, {}, lambda *_: {})

    before = {f: reading(f) for f in (judging.score_quality, nodes.normalise_rewards)}
    assert reading(nodes.score_learnability).get("own_code") is None
    write("q.py", "def quality(prompt, response, reference):\n    return 1\n")
    assert reading(nodes.normalise_rewards) == before[nodes.normalise_rewards]
    told = fingerprints.difference(before[judging.score_quality], reading(judging.score_quality))
    assert told.startswith("own_code.q.py:quality.sha256 was '")


def test_a_router_that_another_state_of_its_file_fitted_is_refused() -> None:
    write("r.py", "R = 1\n")
    saved = {"kind": "r.py:R", "own_code": {"name": "R", "sha256": "0"}, "teachers": []}
    write_description(Path("."), saved)
    with pytest.raises(PersynError, match="fitted with another version of r.py:R. Train it again"):
        load_router(Path("."), [])
