"""What is dropped, in which order, what stays of two, and what the table says of it."""

import json
import logging
import random
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow.dataset as pads
import pytest

from persyn_kedro.domain.cleaning import dropped_counts, dropped_ids, screen_prompts, why_dropped
from persyn_kedro.domain.cleaning.screen import PLACES
from persyn_kedro.domain.cleaning.texts import excerpt
from persyn_kedro.domain.prompts import prepare_prompts, repeated_prompts, split_prompts
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.prepare import PrepareSettings
from tests.support.tables import on_disk

SUFFIX = " Put the final answer in a box, and nothing after it."
VOCABULARY = (
    "old town wall gate tower church market bridge river garden farmer builder painter keeper "
    "visitor winter summer morning evening people children letters stories bread water horses "
    "houses streets walked carried remembered painted finished answered because although before "
    "through without together quietly slowly beautiful narrow green yellow eleven twenty seven "
    "question reason mountain island harbour captain window kitchen"
).split()
PROMPTS = [
    f"Tell me, please, {' '.join(random.Random(n).sample(VOCABULARY, 14))}?" for n in range(36)
]
NEAR = [text.replace("me, please,", "us, please,") for text in PROMPTS]


class Prompts:
    """Prompts on disk, as `prepare` reads them, and its settings."""

    def __init__(self, directory: Path, rows: list[Any], **chosen: Any) -> None:
        repeats: Counter[str] = Counter()
        said = [row if isinstance(row, dict) else {"prompt": row + SUFFIX} for row in rows]
        shared = {"reference": None, "source": "p.jsonl", "metadata": None}
        table = prepare_prompts([{**shared, **row} for row in said], repeats).read_all()
        self.dataset = on_disk(directory / f"{len(list(directory.iterdir()))}.parquet", table)
        self.repeated = repeated_prompts(repeats).read_all()
        source = {"file": "p.jsonl", "prompt_suffix": SUFFIX}
        self.settings = PrepareSettings(source=source, **{"withheld_fraction": 0.3, **chosen})

    def dropped(self, seed: int = 0) -> list[dict[str, Any]]:
        return screen_prompts(self.dataset, self.repeated, self.settings, seed).to_pylist()

    def kept(self, seed: int = 0) -> dict[str, str]:
        """Return split/part of the prompts that stay, by text."""
        dropped = pads.dataset(screen_prompts(self.dataset, self.repeated, self.settings, seed))
        batches, gone = self.dataset.to_batches(), dropped_ids(dropped)
        rows = split_prompts(batches, self.settings, seed, gone).read_all().to_pylist()
        return {r["prompt"]: "/".join(filter(None, (r["split"], r["part"]))) for r in rows}


def written(directory: Path, *texts: str, column: str = "prompt") -> str:
    path = directory / "tests.jsonl"
    path.write_text("".join(json.dumps({column: text}) + "\n" for text in texts))
    return str(path)


def test_by_default_only_exact_duplicates_are_in_the_table(tmp_path: Path) -> None:
    prompts = Prompts(tmp_path, [*PROMPTS, *NEAR, PROMPTS[3], PROMPTS[5], PROMPTS[3]])
    rows = prompts.dropped()
    assert [(r["reason"], r["copies"], r["excerpt"]) for r in rows] == [
        ("duplicate", 2, PROMPTS[3]),
        ("duplicate", 1, PROMPTS[5]),
    ]
    assert all(r["match"] == r["prompt_id"] and r["match_excerpt"] == r["excerpt"] for r in rows)
    assert len(prompts.kept()) == len(PROMPTS) + len(NEAR)


@pytest.mark.parametrize("seed", range(4))
def test_a_near_duplicate_of_what_measures_is_not_trained_on(tmp_path: Path, seed: int) -> None:
    prompts = Prompts(
        tmp_path, [*PROMPTS, *NEAR], near_duplicates={"similarity": 0.7}, test_fraction=0.3
    )
    before = Prompts(tmp_path, [*PROMPTS, *NEAR], test_fraction=0.3).kept(seed)
    kept = prompts.kept(seed)
    assert len(kept) == len(PROMPTS)
    for one, other in zip(PROMPTS, NEAR, strict=True):
        (stays,) = [text for text in (one, other) if text + SUFFIX in kept]
        places = [PLACES.index(before[text + SUFFIX]) for text in (one, other)]
        assert PLACES.index(kept[stays + SUFFIX]) == min(places)
    for row in prompts.dropped(seed):
        assert (row["reason"], row["source"], row["copies"]) == ("near_duplicate", "p.jsonl", 1)
        assert row["place"] == before[row["excerpt"] + SUFFIX]
        assert row["match_excerpt"] + SUFFIX in kept and row["similarity"] >= 0.7


def test_the_rows_order_does_not_matter(tmp_path: Path) -> None:
    rows = [*PROMPTS, *NEAR]
    chosen: dict[str, Any] = {"near_duplicates": {}}
    forward, backward = (Prompts(tmp_path, way, **chosen) for way in (rows, rows[::-1]))
    assert forward.kept() == backward.kept()
    by_id = [sorted(p.dropped(), key=lambda r: r["prompt_id"]) for p in (forward, backward)]
    assert by_id[0] == by_id[1]


def test_what_the_settings_append_to_every_prompt_does_not_count(tmp_path: Path) -> None:
    sums = [f"What is {n} + {n * n}?" for n in range(40)]
    prompts = Prompts(tmp_path, sums, near_duplicates={}, length={"max_words": 5})
    assert prompts.dropped() == []
    assert Prompts(tmp_path, sums, length={"max_characters": 14}).dropped()[0]["match"] == (
        "15 characters, max_characters is 14"
    )


def test_of_a_conversation_all_user_turns_count_and_no_other(tmp_path: Path) -> None:
    def chat(system: str, first: str, answer: str, last: str) -> dict[str, Any]:
        turns = [("system", system), ("user", first), ("assistant", answer), ("user", last)]
        messages = [{"role": role, "content": text} for role, text in turns]
        return {"prompt": "\n\n".join(text for _, text in turns), "messages": messages}

    first, other, last = PROMPTS[0], PROMPTS[1], "And what came before that?"
    answers = ("It was built in 1310 by its owners. " * 9, "Nobody knows at all. " * 9)
    rows = [
        chat("Be brief.", first, answers[0], last + SUFFIX),
        chat("Be thorough, and quote sources.", first, answers[1], last + SUFFIX),
        chat("Be brief.", other, answers[0], last + SUFFIX),
    ]
    rows += PROMPTS[2:]  # so that no part is empty
    found = Prompts(tmp_path, rows, near_duplicates={"similarity": 0.95}).dropped()
    assert [row["excerpt"] for row in found] == [excerpt(f"{first} {last}")]
    against = [{"file": written(tmp_path, first)}]
    found = Prompts(tmp_path, rows, against=against).dropped()
    assert [row["excerpt"] for row in found] == [excerpt(f"{first} {last}")] * 2


def test_the_first_reason_counts_and_each_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    german = "Erzähle mir bitte ausführlich von der Geschichte der alten Brücke in unserer Stadt."
    rows = [*PROMPTS, NEAR[7], "Hi", german]
    against = [{"file": written(tmp_path, "x", PROMPTS[4], column="q"), "column": "q"}]
    prompts = Prompts(
        tmp_path,
        rows,
        near_duplicates={},
        against=against,
        overlap={"words": 8, "share": 0.5},
        language={"keep": ["en"], "certainty": 0.9},
        length={"min_words": 2},
        holdout_fraction=0.5,
    )
    with caplog.at_level(logging.INFO):
        rows = {row["reason"]: row for row in prompts.dropped()}
    assert "Dropped 4 of 39 distinct prompts (length 1, language 1, contaminated 1" in caplog.text
    assert rows.keys() == {"length", "language", "contaminated", "near_duplicate"}
    assert rows["length"]["match"] == "1 words, min_words is 2"
    assert (rows["language"]["match"], rows["language"]["excerpt"]) == ("de", german)
    contaminated = rows["contaminated"]
    assert (contaminated["match"], contaminated["similarity"]) == ("tests.jsonl, row 2", 1.0)
    assert contaminated["match_excerpt"] == contaminated["excerpt"] == PROMPTS[4]
    dropped = screen_prompts(prompts.dataset, prompts.repeated, prompts.settings, 0)
    assert (
        dropped_counts(dropped) == dropped_counts(pads.dataset(dropped)) == dict.fromkeys(rows, 1)
    )
    said = why_dropped(pads.dataset(dropped), contaminated["prompt_id"][:8])
    assert said is not None and "contaminated: tests.jsonl, row 2" in said
    assert why_dropped(pads.dataset(dropped), "0" * 32) is None


def test_it_is_the_same_in_small_blocks(tmp_path: Path, small_blocks: None) -> None:
    rows = [f"{text} {n}" for n in range(3) for text in PROMPTS]
    against = [{"file": written(tmp_path, *PROMPTS[:5])}]
    few = {"test_fraction": 0.05, "calibration_fraction": 0.1, "withheld_fraction": 0.0}
    near = {"similarity": 0.85}
    prompts = Prompts(tmp_path, rows, near_duplicates=near, against=against, **few)
    found = prompts.dropped()
    assert Counter(r["reason"] for r in found) == {"contaminated": 15, "near_duplicate": 62}
    assert len({row["prompt_id"] for row in found}) == len(found)
    texts = {row["prompt_id"]: row["prompt"] for row in prompts.dataset.to_table().to_pylist()}
    for row in found:
        assert texts[row["prompt_id"]].startswith(row["excerpt"].rstrip("…"))
        if row["reason"] == "near_duplicate":
            assert texts[row["match"]].startswith(row["match_excerpt"].rstrip("…"))


def test_a_test_set_that_leaves_too_few_prompts_is_refused_in_one_sentence(tmp_path: Path) -> None:
    against = [{"file": written(tmp_path, *PROMPTS)}]
    with pytest.raises(PersynError) as caught:
        Prompts(tmp_path, PROMPTS, against=against).dropped()
    said = str(caught.value)
    assert said.startswith("Cleaning leaves 0 of 36 prompts and none in test; dropped: cont")
    assert "tests.jsonl, row" in said


@pytest.mark.parametrize(
    ("own", "said"),
    [
        ({"file": "{}/none.jsonl"}, "none.jsonl does not exist; check `prepare.against"),
        ({"file": "{}/empty.jsonl"}, "empty.jsonl has no prompts; check `prepare.against`"),
        ({"file": "{}/tests.jsonl", "column": "q"}, "no text in column 'q'"),
    ],
)
def test_a_test_set_that_cannot_be_read_is_named(tmp_path: Path, own: Any, said: str) -> None:
    (tmp_path / "empty.jsonl").touch()
    written(tmp_path, "x")
    against = [{**own, "file": own["file"].format(tmp_path)}]
    with pytest.raises(PersynError, match=said):
        Prompts(tmp_path, PROMPTS, against=against).dropped()
