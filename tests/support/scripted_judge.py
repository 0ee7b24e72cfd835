"""A judge whose replies a test writes, and what it was shown."""

import json
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa

from persyn_kedro.domain.engines.base import Engine, Generation, Request
from persyn_kedro.domain.quality.judge.judge import Judge
from persyn_kedro.domain.quality.judge.rubric import Rubric
from persyn_kedro.domain.quality.scorer import Answer
from persyn_kedro.domain.stores.tables import QualityStore, ResponseStore
from persyn_kedro.domain.teachers.asking import Asking
from persyn_kedro.foundations.settings.label import QualitySettings
from persyn_kedro.foundations.tables import schemas
from tests.support.fake_engine import ENGINE, answer_by, model

RUBRIC = Rubric("What is right is good.", 1, 10)
ID = re.compile(r"do not know the id (\w+)")


def parts_of(prompt: str) -> dict[str, str]:
    """Return what stands between the request's own marks, by name."""
    (mark,) = ID.findall(prompt)
    found = re.findall(rf"^<<<(BEGIN|END) ([A-Z0-9 ]+) {mark}>>>$", prompt, re.MULTILINE)
    names = [name for side, name in found if side == "BEGIN"]
    assert found == [(side, name) for name in names for side in ("BEGIN", "END")]
    return {
        name: prompt.split(f"<<<BEGIN {name} {mark}>>>\n")[1].split(f"\n<<<END {name} {mark}>>>")[0]
        for name in names
    }


def answers_of(prompt: str) -> list[str]:
    """Return the answers in the order shown."""
    return [text for name, text in parts_of(prompt).items() if name.startswith("ANSWER")]


@dataclass
class ScriptedJudge:
    """Replies ``say(answers shown, sample)``; None is a failed call."""

    say: Callable[[list[str], int], str | None]
    requests: list[Request] = field(default_factory=list)

    def generate(self, engine: Engine, requests: Iterable[Request]) -> Iterator[Generation]:
        for request in requests:
            self.requests.append(request)
            text = self.say(answers_of(str(request.prompt)), len(self.requests) - 1)
            if text is None:
                yield Generation(request.key, "", "error", 5, 0, "no room")
            else:
                yield Generation(request.key, text, "stop", 5, 7)


def judge_of(monkeypatch: Any, tmp_path: Path, say: Any, **settings: Any) -> tuple[Any, Judge]:
    """Return the scripted model, and a judge that asks it."""
    script = ScriptedJudge(say)
    answer_by(monkeypatch, script.generate)
    given = {"kind": "judge", "model": "j", "rubric": "instruction_following", **settings}
    calls = Asking(ResponseStore(tmp_path / "responses"), ENGINE, 1)
    return script, Judge(model("j"), QualitySettings(**given), calls)  # type: ignore[arg-type]


def answers(*texts: str, prompt: str = "p", reference: str | None = None) -> list[Answer]:
    """Return answers to one prompt."""
    row = {"prompt_id": prompt, "prompt": f"Say {prompt}.", "messages": None, "metadata": None}
    row["reference"] = reference
    return [Answer((f"{prompt}{n}", "r"), row, text) for n, text in enumerate(texts)]


def quality_table(found: list[float | None]) -> pa.Table:
    """Return QUALITY with these qualities of answers to one prompt."""
    rows = [{"prompt_id": "p", "teacher": f"t{n}", "quality": q} for n, q in enumerate(found)]
    return pa.Table.from_pylist(rows, schemas.QUALITY)


def qualities(judge: Any, own: list[Any], tmp_path: Path) -> list[float | None]:
    found = judge.qualities(own, QualityStore(tmp_path / "quality"))
    return [found[answer.key] for answer in own]


def verdict(**said: Any) -> str:
    return json.dumps({"reason": "because", **said})
