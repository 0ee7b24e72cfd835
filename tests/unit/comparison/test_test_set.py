"""Which prompts the compared students answer, and what is said of them."""

import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.pipelines.compare.students import select_test_set


def prompts(*references: str | None, split: str = "test") -> pads.Dataset:
    rows = [
        {"prompt_id": text_id(f"{split}{i}"), "prompt": f"{i}?", "reference": reference,
         "source": "syllogism", "split": split}
        for i, reference in enumerate(references)
    ]  # fmt: skip
    return pads.dataset(pa.Table.from_pylist(rows, schemas.PROMPTS))


def test_a_kind_of_test_prompts_that_one_answer_is_right_on_is_noted() -> None:
    others = prompts(*["No"] * 40, split="train")
    tested = prompts(*["Yes"] * 9, *["No"] * 3)
    found, notes = select_test_set(pads.dataset([tested, others]), LabelSettings())
    assert found["prompt_id"].to_pylist() == [text_id(f"test{i}") for i in range(12)]
    assert found.schema == schemas.TEST_SET
    (note,) = notes["constant_answers"]
    assert note.startswith("Of 12 test prompts of syllogism with a reference, 9 have 'Yes': ")


def test_prompts_with_answers_of_their_own_are_not_noted() -> None:
    _, notes = select_test_set(prompts(*map(str, range(12))), LabelSettings())
    assert notes == {"constant_answers": []}


def test_test_prompts_without_a_reference_are_refused() -> None:
    with pytest.raises(PersynError):
        select_test_set(prompts(None, None), LabelSettings())
