"""References that are numbers, lists and objects in a file, and alternatives in every judge."""

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from persyn_kedro.domain.prompts.records import file_records
from persyn_kedro.domain.quality import checking, exact_answer
from persyn_kedro.domain.quality.own_function import function_scores
from persyn_kedro.domain.stores.tables import QualityStore
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.storage.paths import place
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.foundations.tables.references import accepted, reference_texts, spoken, stored
from tests.support.prompt_files import read


@pytest.mark.parametrize(
    ("value", "texts"),
    [
        ("5", ["5"]),
        ("5.0", ["5.0"]),  # a text is left as it is
        ('["a"]', ['["a"]']),
        (5.0, ["5"]),
        (-0.0, ["0"]),
        (2.5, ["2.5"]),
        (1e-7, ["1e-07"]),
        (1e21, ["1000000000000000000000"]),
        (1e23, ["100000000000000000000000"]),
        (2**53 + 1, ["9007199254740993"]),
        (True, ["True"]),
        (["a", "b"], ["a", "b"]),
        (["a", None, " ", "a"], ["a"]),
        ([1, 1.0, "1", 2.5], ["1", "2.5"]),
        (np.array([1.0, 2.5]), ["1", "2.5"]),
        (np.array(["a", "b"], object), ["a", "b"]),
        ([], []),
        (None, []),
        (float("nan"), []),
        ("  ", []),
    ],
)
def test_what_a_value_stands_for(value: Any, texts: list[str]) -> None:
    assert reference_texts(value) == texts
    row = stored(texts)
    assert accepted(row) == texts and row["reference"] == (texts or [None])[0]
    assert (row["metadata"] is None) == (len(texts) < 2)
    assert spoken(row) == (" or ".join(texts) or None)


def test_decimals_of_a_column_are_written_without_needless_zeros() -> None:
    assert reference_texts(Decimal("5.00")) == ["5"]
    assert reference_texts([Decimal("-0.0"), Decimal("2.5")]) == ["0", "2.5"]


@pytest.mark.parametrize(
    ("value", "sentence"),
    [
        ('{"text": "a", "start": 1}', "row 1 of p.jsonl is an object .keys: text, start."),
        ('["a", ["b"]]', "row 1 of p.jsonl is a list that contains lists or objects"),
        ('[{"a": 1}]', "row 1 of p.jsonl is a list that contains lists or objects"),
        ('["a", "\\udc00"]', "row 1 of p.jsonl has invalid Unicode"),
    ],
)
def test_a_reference_without_a_plain_meaning_is_refused(
    tmp_path: Path, value: str, sentence: str
) -> None:
    (tmp_path / "p.jsonl").write_text(f'{{"prompt": "a", "reference": {value}}}')
    with pytest.raises(PersynError, match=f"The reference of {sentence}"):
        read(tmp_path / "p.jsonl")


@pytest.mark.parametrize("kind", ["jsonl", "json", "parquet"])
def test_a_key_of_an_object_is_named_with_a_point(tmp_path: Path, kind: str) -> None:
    rows = [{"prompt": "a", "judge": {"style": "rule", "truth": 5.0}}, {"prompt": "b"}]
    file = tmp_path / f"p.{kind}"
    if kind == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), file)
    else:
        file.write_text(json.dumps(rows) if kind == "json" else "\n".join(map(json.dumps, rows)))
    assert [r["reference"] for r in read(file, reference_column="judge.truth")] == ["5", None]
    with pytest.raises(PersynError, match="p.* has no column 'jury.truth'"):
        read(file, reference_column="jury.truth")


DEEP = pa.struct([("of", pa.float16())])


def test_parquet_numbers_and_lists_are_references(tmp_path: Path) -> None:
    columns = {
        "single": pa.array([0.1, 5, None], pa.float32()),
        "singles": pa.array([[0.1, 5], [], None], pa.list_(pa.float32())),
        "half": pa.array([np.float16(0.1), np.float16(5), None], pa.float16()),
        "pair": pa.array([[0.1, 5], [2.5, None], None], pa.list_(pa.float32(), 2)),
        "judge": pa.array(
            [{"truth": 0.1, "all": [{"of": 0.1}]}, {"truth": 5, "all": []}, None],
            pa.struct([("truth", pa.float32()), ("all", pa.list_(DEEP))]),
        ),
        "coded": pa.array([0.1, 5, None], pa.float32()).dictionary_encode(),
        "texts": pa.array([["a", "b"], ["c"], None], pa.large_list(pa.large_string())),
        "money": pa.array([5, 7, None], pa.decimal128(9, 2)),
        "raw": pa.array([b"a", None, None], pa.binary()),
    }
    file = tmp_path / "p.parquet"
    pq.write_table(pa.table({"prompt": ["1", "2", "3"], **columns}), file)
    found = {
        name: [accepted(row) for row in read(file, reference_column=name)]
        for name in ("judge.truth", *columns)
        if name not in ("raw", "judge")
    }
    assert found == {
        "judge.truth": [["0.1"], ["5"], []],
        "single": [["0.1"], ["5"], []],
        "half": [["0.1"], ["5"], []],
        "pair": [["0.1", "5"], ["2.5"], []],
        "coded": [["0.1"], ["5"], []],
        "singles": [["0.1", "5"], [], []],
        "texts": [["a", "b"], ["c"], []],
        "money": [["5"], ["7"], []],
    }
    (first, *_) = file_records(place(str(file)), ".parquet", None, ["judge"])
    assert first["judge"] == {"truth": 0.1, "all": [{"of": 0.1}]}
    with pytest.raises(PersynError, match="The reference of row 1 of p.parquet is of type bytes"):
        read(file, reference_column="raw")


def judged(tmp_path: Path, prompt: dict[str, Any], answers: list[str]) -> list[float | None]:
    """Return the exact quality of the answers to one prompt."""
    shared = dict.fromkeys(schemas.RESPONSES.names)
    rows = [
        {
            **shared, "prompt_id": "p", "teacher": "t", "response": answer, "finish_reason": "stop",
            "response_key": text_id(answer),
        }
        for answer in answers
    ]  # fmt: skip
    table = checking.check_quality(
        pa.Table.from_pylist(rows, schemas.RESPONSES), {"p": prompt}, {"t": "keep"},
        exact_answer.ExactAnswer(), QualityStore(tmp_path / "quality"),
    )  # fmt: skip
    return table["quality"].to_pylist()


def test_an_answer_is_right_if_it_is_one_of_the_alternatives(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = {"prompt_id": "p", "prompt": "?", "source": "s", **stored(["7", "12"])}
    answers = [r"\boxed{12}", r"\boxed{7}", r"\boxed{8}", ""]
    assert judged(tmp_path, prompt, answers) == [1.0, 1.0, 0.0, 0.0]
    fewer = {**prompt, **stored(["7"])}  # judged anew: the alternatives are part of the key
    assert judged(tmp_path, fewer, answers) == [0.0, 1.0, 0.0, 0.0]

    verdicts = {"u": None, "r": 1.0, "w": 0.0}
    monkeypatch.setattr(exact_answer, "exact_answer_quality", lambda r, ref, s, m: verdicts[ref])
    for texts, wanted in ((["u", "r"], 1.0), (["u", "w"], None), (["w", "u"], None)):
        row = {**prompt, **stored(texts)}
        assert judged(tmp_path / "".join(texts), row, ["x"]) == [wanted]


def test_an_own_function_is_asked_for_each_alternative_and_the_highest_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "own.py").write_text(
        "def judge(prompt, response, reference):\n"
        "    return {None: 9, 'a': 1, 'b': 3, 'c': None}[reference]\n"
    )
    monkeypatch.chdir(tmp_path)
    asked = [[], ["a"], ["a", "b", "c"], ["c"], ["missing", "a"], ["missing", "c"]]
    requests = [(i, "?", "answer", texts) for i, texts in enumerate(asked)]
    found = dict(function_scores(requests, "own.py:judge"))
    assert found == {0: 9.0, 1: 1.0, 2: 3.0, 3: None, 4: 1.0, 5: None}
