"""The second experiment: which kinds its pilot takes, and where its prompts are placed."""

import json
import sys
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml

from persyn_kedro.foundations.hashing import unit_draw
from persyn_kedro.foundations.prompts.conversation import prompt_id_of

ROOT = Path(__file__).parents[3]


@pytest.fixture
def benchmarks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT / "benchmarks"), *sys.path])


def _rows(
    kind: str, right: dict[str, list[int]], cut: tuple[str, ...] = (), references: str = "abcdefgh"
) -> list[dict[str, Any]]:
    """Return a kind's rows, twice the prompts given; whose answers are cut off has no reward."""
    return [
        {
            "source": kind, "prompt_id": f"{kind}-{place}", "teacher": teacher,
            "reference": references[place],
            "quality": float(quality), "valid": teacher not in cut,
            "reward": None if teacher in cut else 0.6 * quality,
        }
        for teacher, own in right.items()
        for place, quality in enumerate(own * 2)
    ]  # fmt: skip


@pytest.mark.usefixtures("benchmarks")
def test_the_pilot_takes_kinds_on_which_teachers_differ_and_the_student_has_room() -> None:
    from pilot import kinds_of, taken

    rows = [
        *_rows("good", {"big": [1, 1, 0, 0], "small": [0, 0, 1, 0], "smollm2": [0, 0, 0, 0]}),
        *_rows("better", {"big": [1, 1, 0, 0], "small": [0, 0, 1, 1], "smollm2": [0, 0, 0, 0]}),
        *_rows("known", {"big": [1, 1, 0, 0], "small": [0, 0, 1, 1], "smollm2": [1, 1, 1, 0]}),
        *_rows("one ahead", {"big": [1, 1, 1, 0], "small": [1, 0, 0, 0], "smollm2": [0, 0, 0, 0]}),
        *_rows("too hard", {"big": [1, 1, 0, 0], "small": [0, 0, 0, 0], "smollm2": [0, 0, 0, 0]}),
        *_rows(
            "cut off",
            {"big": [1, 1, 0, 0], "small": [0, 0, 1, 1], "smollm2": [0, 0, 0, 0]},
            cut=("small",),
        ),
        *_rows(
            "one answer",
            {"big": [1, 1, 0, 0], "small": [0, 0, 1, 1], "smollm2": [0, 0, 0, 0]},
            references="aabbcdef",
        ),
    ]
    kinds = {kind.name: kind for kind in kinds_of(pd.DataFrame(rows))}
    assert kinds["good"].right == {"big": 0.5, "small": 0.25, "smollm2": 0.0}
    assert kinds["good"].gain == pytest.approx(0.6 * (3 / 4 - 2 / 4))
    assert kinds["cut off"].right["small"] == 0 and kinds["cut off"].gain == 0
    assert kinds["one answer"].same == 0.25 and kinds["good"].same == 0.125
    assert taken(list(kinds.values())) == ["better", "good"]


@pytest.mark.usefixtures("benchmarks")
def test_the_pilot_takes_four_kinds_of_more_and_none_that_teachers_always_solve() -> None:
    from pilot import Kind, taken

    right = {"big": 0.5, "small": 0.25, "smollm2": 0.0}
    kinds = [Kind(f"k{n}", right, gain=float(n), same=0.1) for n in range(5)]
    solved = Kind("solved", {"big": 0.95, "small": 0.92, "smollm2": 0.5}, gain=9.0, same=0.1)
    assert taken([*kinds, solved]) == ["k4", "k3", "k2", "k1"]


@pytest.mark.usefixtures("benchmarks")
@pytest.mark.parametrize(
    ("pilot", "env", "otherwise_now"),
    [
        ("pilot", "experiment_b", {"letter_counting"}),  # the limit on one answer came later
        # chosen before the wrong references of basic_arithmetic were seen
        ("pilot_2", "experiment_b2", {"basic_arithmetic", "complex_arithmetic"}),
    ],
)
def test_the_page_and_the_settings_have_the_pilots_as_they_are_published(
    pilot: str, env: str, otherwise_now: set[str]
) -> None:
    from pilot import kinds_of, markdown, table_of, taken

    kinds = kinds_of(table_of(ROOT / "docs" / "data" / pilot / "answers.parquet").to_pandas())
    page = (ROOT / "docs" / "results.md").read_text(encoding="utf-8")
    assert markdown(kinds, list(kinds[0].right)) in page
    settings = yaml.safe_load((ROOT / "conf" / env / "parameters.yml").read_text())
    prepare = settings["prepare"]
    named = prepare["sources"] if "sources" in prepare else prepare["source"]["tasks"]
    assert {each["name"] for each in named} ^ {*taken(kinds)} == otherwise_now


@pytest.mark.usefixtures("benchmarks")
def test_the_experiment_s_prompts_are_placed_where_its_settings_put_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import experiment_files

    monkeypatch.setattr(sys, "argv", ["experiment_files.py", "--more=5", f"--to={tmp_path}"])
    experiment_files.main()
    conf = ROOT / "conf" / "experiment_a_tokens" / "parameters.yml"
    settings = yaml.safe_load(conf.read_text())["prepare"]
    test, calibration = settings["test_fraction"], settings["calibration_fraction"]
    places = []
    for source in settings["sources"]:
        lines = (tmp_path / Path(source["file"]).name).read_text().splitlines()
        texts = [json.loads(line)["prompt"] for line in lines]
        assert len(texts) == len(set(texts))
        places += [unit_draw(experiment_files.SEED, "split", prompt_id_of(t)) for t in texts]
    assert sum(place < test for place in places) == 400
    assert sum(test <= place < test + calibration for place in places) == 140
    assert sum(place >= test + calibration for place in places) == 282 + 4 * 5


@pytest.mark.usefixtures("benchmarks")
def test_the_published_references_are_those_of_all_prompts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import experiment_files

    file = tmp_path / "references.parquet"
    monkeypatch.setattr(sys, "argv", ["experiment_files.py", f"--references={file}"])
    experiment_files.main()
    committed = pd.read_parquet(ROOT / "docs" / "data" / "a_references.parquet")
    pd.testing.assert_frame_equal(pd.read_parquet(file), committed)
    prompts = pd.read_parquet(ROOT / "docs" / "data" / "a" / "prompts.parquet")
    assert set(committed.prompt_id) == set(prompts.prompt_id)
    own = prompts[(prompts.split == "test") & (prompts.source == "syllogism")].merge(committed)
    assert own.reference.value_counts().to_dict() == {"Yes": 69, "No": 31}
