"""The steps judge by references and by code against tests, side by side."""

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset as pads

from persyn_kedro.api.prompts import prompt_table
from persyn_kedro.domain.stores.tables import QualityStore
from persyn_kedro.domain.student.test_set import STUDENT
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.settings.label import QualitySettings
from persyn_kedro.foundations.settings.read import read_settings
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.pipelines.evaluate import nodes as evaluate
from persyn_kedro.pipelines.label import judging as label
from tests.integration.test_sandbox import TWO, boxed
from tests.support.good_rows import RESPONSE
from tests.support.settings import SHORTEST

pytestmark = boxed


def test_the_steps_judge_references_and_tests_side_by_side(tmp_path: Path) -> None:
    quality = [{"kind": "exact_answer"}, {"kind": "code", "cpu_seconds": 1, "weight": 3.0}]
    settings = read_settings({**SHORTEST, "label": {"quality": quality}})
    prompts = prompt_table(
        [
            {"prompt": "double", "tests": [test["code"] for test in TWO]},
            {"prompt": "add", "reference": "5"},
            {"prompt": "neither"},
        ]
    )
    double, add, neither = prompts["prompt_id"].to_pylist()
    said = {
        double: ["def f(x):\n    return 2 * x", "def f(x):\n    return 2", ""],
        add: ["It is 5.", "It is 6.", "5"],
        neither: ["x", "y", "z"],
    }
    models = settings.models
    first, *_ = settings.teachers.root
    rows = [
        {**RESPONSE, "prompt_id": p, "teacher": first, "sample_index": n, "response": response,
         "response_key": text_id(f"{p} {n}")}
        for p, responses in said.items() for n, response in enumerate(responses)
    ]  # fmt: skip
    answered = pads.dataset(pa.Table.from_pylist(rows, schemas.RESPONSES))
    asked, store = pads.dataset(prompts), QualityStore(tmp_path)
    calls: Any = (None, 0, None, None)  # no judge is asked
    terms = label.score_quality_terms(
        answered, asked, models, settings.teachers, settings.label, store, *calls
    )
    by_term = {(r["term"], r["prompt_id"], r["sample_index"]): r["quality"]
               for r in terms.to_pylist()}  # fmt: skip
    assert [by_term["code", double, n] for n in range(3)] == [1.0, 0.5, 0.0]
    assert by_term["code", add, 0] is by_term["exact_answer", double, 0] is None
    found = label.score_quality(
        answered, pads.dataset(terms), asked, models, settings.teachers, settings.label, store,
        *calls,
    )  # fmt: skip
    values = [row["quality"] for row in found.to_pylist()]
    assert values == [1.0, 0.0, None, 1.0, 0.0, 1.0, None, None, None]  # the third is empty

    own = pa.Table.from_pylist(
        [{**row, "teacher": STUDENT} for row in rows if not row["sample_index"]], schemas.RESPONSES
    )
    judged = evaluate.check_test_answers(
        pads.dataset(own), asked, models, settings.student, settings.label, store
    )
    assert dict(zip(*(judged[n].to_pylist() for n in ("prompt_id", "quality")), strict=True)) == {
        double: 1.0, add: 1.0, neither: None,
    }  # fmt: skip
    exact = settings.label.model_copy(update={"quality": QualitySettings()})
    judged = evaluate.check_test_answers(
        pads.dataset(own), asked, models, settings.student, exact, store
    )
    assert judged["quality"].to_pylist() == [None, 1.0, None]
