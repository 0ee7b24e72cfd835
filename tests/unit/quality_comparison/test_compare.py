"""Two ways of judging three prompts' answers by two teachers, worked out by hand."""

import pyarrow as pa
import pyarrow.dataset as pads
import pytest

from persyn_kedro.domain.comparison.strategies.labelled import Labelled
from persyn_kedro.domain.designs.asked import Asked, with_asked
from persyn_kedro.domain.quality.judge.note import Judged, with_judged
from persyn_kedro.domain.quality_comparison.compare import compare_judgements
from persyn_kedro.domain.quality_comparison.kinds import check_kinds, kinds_of
from persyn_kedro.domain.quality_comparison.routing import Routed
from persyn_kedro.domain.reporting.judgement_figures import choice_rows, kind_rows, pair_rows
from persyn_kedro.domain.reporting.terminal import judgements_text
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.settings.compare_quality import CompareQualitySettings
from persyn_kedro.foundations.settings.label import LabelSettings, QualitySettings
from persyn_kedro.foundations.settings.models import Models
from persyn_kedro.foundations.settings.student import StudentSettings
from persyn_kedro.foundations.settings.teachers import Teachers
from persyn_kedro.foundations.tables import schemas
from persyn_kedro.pipelines.compare_quality.nodes import compare_kinds
from tests.unit.signal_comparison.labelled import labelled

# {prompt: {teacher: (exact, judge)}}
QUALITIES = {
    "p": {"a": (1.0, 3.0), "b": (0.0, 8.0)},
    "q": {"a": (1.0, 9.0), "b": (0.0, 2.0)},
    "r": {"a": (0.0, None), "b": (1.0, 7.0)},
}
SETTINGS = CompareQualitySettings(resamples=200)
MODEL = QualitySettings(kind="reward_model", model="m")


def both_judgements() -> pa.Table:
    table = [
        {"term": kind, "prompt_id": text_id(p), "teacher": t, "response_key": text_id(p + t),
         "sample_index": 0, "quality": q[place]}
        for place, kind in enumerate(("exact", "judge"))
        for p, own in QUALITIES.items()
        for t, q in own.items()
    ]  # fmt: skip
    return pa.Table.from_pylist(table, schemas.QUALITY_TERMS)


def calibration(alpha: float = 0.0) -> Labelled:
    answers = {p: {t: (q[0], 2, -2.0, 2.0) for t, q in own.items()} for p, own in QUALITIES.items()}
    return labelled(answers, alpha=alpha)


def compared(alpha: float = 0.0):
    thinks = dict.fromkeys("ab", "strip")
    return compare_judgements(both_judgements(), thinks, calibration(alpha), SETTINGS, 1)


def test_what_each_way_would_have_routed_and_how_good_that_is_by_the_others_figures() -> None:
    found = compared()
    exact, judge = found["kinds"]
    assert (exact["unknown"], judge["unknown"], judge["answers"]) == (0, 1, 6)
    assert exact["means"] == pytest.approx([2 / 3, 1 / 3]) and exact["shares"] == [2 / 3, 1 / 3]
    assert judge["means"] == [6.0, 17 / 3] and judge["shares"] == [0.5, 0.5]  # r has one valid
    assert exact["length"] is None  # both teachers' answers are as long
    (pair,) = found["pairs"]
    assert (pair["alike"], pair["opposite"], pair["answers"]) == (1, 1, 5)
    assert pair["same"]["value"] == 0.5 and pair["same"]["prompts"] == 2
    rows = found["choices"]["rows"]  # of p and q: exact chooses a and a, judge b and a
    values = {name: [by[kind]["value"] for kind in ("exact", "judge")] for name, by in rows.items()}
    assert found["choices"]["prompts"] == 2
    assert values == {
        "exact": [1.0, 6.0], "judge": [0.5, 8.5], "random": [0.5, 5.5], "best": [1.0, 8.5],
    }  # fmt: skip


def test_means_by_teacher_are_over_what_an_adaptive_design_asked_at_random() -> None:
    """It asked c besides only where it promised much, which is no merit of c's."""
    teachers, prompts = ["a", "b", "c"], [text_id(f"{n}") for n in range(12)]
    asked = Asked(teachers, 2, 0, {"batches": 1})
    first = asked.first(prompts)
    pairs = [(i, k) for i in range(12) for k in range(3) if first[i, k] or (k == 2 and i < 6)]
    rows = [
        {"prompt_id": prompts[i], "teacher": teachers[k], "sample_index": 0, "response": "x",
         "response_key": text_id(f"{i} {k}"), "finish_reason": "stop",
         "quality": float(k < 2) if first[i, k] else 1.0, "tokens": 1, "sum_logp": -1.0}
        for i, k in pairs
    ]  # fmt: skip
    responses, statistics, quality = (
        pa.Table.from_pylist(rows, schema)
        for schema in (schemas.RESPONSES, schemas.TOKEN_STATISTICS, schemas.QUALITY)
    )
    label = LabelSettings(alpha=0.0, normalise="pool_z")
    own = Labelled(with_asked(responses, asked), statistics, quality, teachers, label)
    assert not first[:6, 2].all()  # some were asked by merit
    assert Routed.of(own).by_teacher["means"] == [1.0, 1.0, 0.0]


def test_with_learnability_alone_all_choose_alike() -> None:
    (pair,) = compared(alpha=1.0)["pairs"]
    assert pair["same"]["value"] == 1.0 and pair["same"]["prompts"] == 3


def test_terminal_and_page_say_it_in_words() -> None:
    found = compared()
    text = " ".join(judgements_text(found).split())
    assert "exact and judge order alike 50.0 % of the 2 pairs of answers that both tell" in text
    assert "not shown to differ from chance" in text
    assert "By judge the quality of 1 of 6 answers is unknown" in text
    for rows in (kind_rows(found), pair_rows(found), choice_rows(found)):
        assert all(cell in text for row in rows for cell in row)


def test_without_kinds_exact_answers_are_compared_with_the_label_s_own_way() -> None:
    label = LabelSettings(quality=MODEL)
    prompts = [{"reference": None}, {"reference": "4"}]
    found = kinds_of(CompareQualitySettings(), label, prompts)
    assert found == {"exact_answer": QualitySettings(), "reward_model": MODEL}
    named = CompareQualitySettings(kinds={"x": MODEL, "y": MODEL})
    assert list(kinds_of(named, label, [{"reference": None}])) == ["x", "y"]
    with pytest.raises(PersynError, match="has a reference, so there is nothing to compare"):
        kinds_of(CompareQualitySettings(), label, [{"reference": None}])
    both = CompareQualitySettings(kinds={"x": QualitySettings(), "y": MODEL})
    with pytest.raises(PersynError, match="No calibration prompt has a reference to check"):
        kinds_of(both, LabelSettings(alpha=1), [{"reference": None}])


def test_one_way_alone_is_refused() -> None:
    check_kinds(CompareQualitySettings(), LabelSettings(quality=MODEL))
    with pytest.raises(PersynError, match="nothing to compare it with: name the ways"):
        check_kinds(CompareQualitySettings(), LabelSettings())
    with pytest.raises(ValueError, match="must name two ways"):
        CompareQualitySettings(kinds={"x": QualitySettings()})


def test_the_result_says_how_a_judge_judged_and_that_it_judges_its_own_answers() -> None:
    judged = Judged("big", "correctness", "score", 6, 1, {"replies": 6}, 0.5, 3)
    own, names = calibration(), ("big", "small", "mine")
    models = {name: {"random": "chat", "random_seed": n} for n, name in enumerate(names)}
    judge = {"kind": "judge", "model": "big", "rubric": "correctness"}

    def notes_of(student: str, **settings: object) -> list[str]:
        found = compare_kinds(
            pads.dataset(with_judged(both_judgements(), [judged])),
            pads.dataset(own.responses),
            pads.dataset(own.statistics),
            Models.model_validate(models),
            Teachers.model_validate({"a": {"model": "big"}, "b": {"model": "small"}}),
            LabelSettings.model_validate({"alpha": 0.0, "quality": judge}),
            CompareQualitySettings.model_validate({"resamples": 200, **settings}),
            1,
            StudentSettings(model=student),
        )
        return found["notes"]

    first, *others = notes_of("mine")
    assert first.startswith("By judge the quality of 1 of 6 answers is unknown")
    assert [note.partition(":")[0] for note in others] == [
        "Quality is what the judge big says by the rubric correctness (score)",
        "Verbosity of the judge big (score)",
        "The judge big (label.quality) is also teacher a",
    ]
    kinds = {"exact": {}, "other": {**judge, "model": "mine"}}
    assert "(compare_quality.kinds.other) is also the student" in notes_of("mine", kinds=kinds)[-1]
    assert notes_of("small", kinds=kinds)[-1].startswith("Verbosity")
