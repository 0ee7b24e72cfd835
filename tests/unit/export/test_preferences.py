"""Which calibration answers are paired, worked out by hand."""

import pyarrow as pa
import pyarrow.compute as pc
import pytest
from hypothesis import given, strategies as st

from persyn_kedro.domain.export.preferences import choose_pairs, pair_preferences, scores_of_answers
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.prompts.conversation import Conversation, Message
from persyn_kedro.foundations.settings.export import PreferencesSettings
from persyn_kedro.foundations.settings.label import LabelSettings
from persyn_kedro.foundations.tables import schemas

TEACHERS = ["a", "b", "c"]
CHAT = Conversation(
    (Message("user", "Hi"), Message("assistant", "Yes?"), Message("user", "2 + 2?"))
)
SCORES = st.lists(st.sampled_from([0.0, 0.25, 0.25 + 1e-10, 0.5, 1.0]), max_size=6)


def pairs_of(answers, prompts=None, system=None, label=None, **settings):
    """Return the pairs of {(prompt, teacher, sample): (text, finish_reason, quality, logp)}."""
    responses, statistics, quality = [], [], []
    for (prompt, teacher, sample), (text, finish, q, logp) in answers.items():
        row = {"prompt_id": text_id(prompt), "teacher": teacher, "sample_index": sample,
               "response_key": text_id(f"{prompt} {teacher} {sample}")}  # fmt: skip
        responses.append({**row, "response": text, "finish_reason": finish})
        quality.append({**row, "quality": q})
        statistics.append({**row, "tokens": 1, "sum_logp": logp})
    tables = [
        pa.Table.from_pylist(rows, schema)
        for rows, schema in (
            (responses, schemas.RESPONSES),
            (statistics, schemas.TOKEN_STATISTICS),
            (quality, schemas.QUALITY),
        )
    ]
    wanted = PreferencesSettings(**settings)
    scored = scores_of_answers(*tables, TEACHERS, LabelSettings(**(label or {})), wanted)
    texts = {text_id(prompt): prompt for prompt, _, _ in answers} | (prompts or {})
    thinks = dict.fromkeys(TEACHERS, "strip")
    return pair_preferences(scored, tables[0], texts, thinks, system, wanted).read_all()


def short(pairs: pa.Table) -> list[tuple[str, str, float]]:
    return [
        (row["chosen"][0]["content"], row["rejected"][0]["content"], round(row["margin"], 6))
        for row in pairs.to_pylist()
    ]


ANSWERS = {
    ("2 + 2?", "a", 0): ("<think>so</think>4", "stop", 1.0, -1.0),
    ("2 + 2?", "b", 0): ("It is 4.", "stop", 1.0, -3.0),
    ("2 + 2?", "c", 0): ("5", "stop", 0.0, -2.0),
}


def test_the_margin_is_the_difference_of_rewards() -> None:
    """r = 0.6 q + 0.4 l: a 0.6 + 0.4, b 0.6 + 0, c 0 + 0.4 / 2."""
    pairs = pairs_of(ANSWERS, system="Be exact.")
    assert short(pairs) == [("4", "It is 4.", 0.4), ("4", "5", 0.8), ("It is 4.", "5", 0.4)]
    first = pairs.to_pylist()[1]
    assert (first["score_chosen"], first["score_rejected"]) == pytest.approx((1.0, 0.2))
    assert (first["teacher_chosen"], first["teacher_rejected"]) == ("a", "c")
    assert first["response_key_rejected"] == text_id("2 + 2? c 0")
    assert [m["role"] for m in first["prompt"]] == ["system", "user"]
    assert first["prompt"][0]["content"] == "Be exact."


def test_by_quality_alone_likelihood_makes_no_pair_and_is_not_needed() -> None:
    answers = {**ANSWERS, ("2 + 2?", "b", 0): ("It is 4.", "stop", 1.0, None)}
    assert short(pairs_of(answers, by="quality")) == [("4", "5", 1.0), ("It is 4.", "5", 1.0)]
    assert short(pairs_of(answers)) == [("4", "5", 1.0)]  # b is invalid: a 0.6 + 0.4, c 0
    scored = {k: (text, end, 7 * q - 3, logp) for k, (text, end, q, logp) in ANSWERS.items()}
    assert {margin for *_, margin in short(pairs_of(scored, by="quality"))} == {7.0}  # raw


def test_a_smaller_margin_gives_no_pair_and_best_against_worst_is_one() -> None:
    assert short(pairs_of(ANSWERS, min_margin=0.4)) == short(pairs_of(ANSWERS))
    assert short(pairs_of(ANSWERS, min_margin=0.41)) == [("4", "5", 0.8)]
    assert short(pairs_of(ANSWERS, pairs="best_vs_worst")) == [("4", "5", 0.8)]
    assert short(pairs_of(ANSWERS, pairs="best_vs_worst", min_margin=0.9)) == []


@pytest.mark.parametrize(
    "bad",
    [("4", "error", None, None), ("", "stop", 1.0, None), ("<think>4", "stop", 1.0, -1.0),
     ("4", "length", 1.0, -1.0), ("4", "stop", None, -1.0)],
)  # fmt: skip
def test_no_pair_has_an_answer_that_failed_or_is_cut_off_empty_or_unknown(bad) -> None:
    answers = {**ANSWERS, ("2 + 2?", "a", 0): bad}
    for label in ({}, {"allow_truncated": True}):
        for by in ("reward", "quality"):
            pairs = pairs_of(answers, label=label, by=by)
            assert [pair[:2] for pair in short(pairs)] == [("It is 4.", "5")], (label, by)


def test_ties_lone_answers_and_equal_texts_give_no_pair() -> None:
    one = ("4", "stop", 1.0, -1.0)
    answers = {
        ("tie", "a", 0): one, ("tie", "b", 0): ("four", "stop", 1.0, -1.0),
        ("lone", "a", 0): one, ("lone", "b", 0): ("", "error", None, None),
        ("same", "a", 0): one, ("same", "b", 0): one, ("same", "c", 0): ("5", "stop", 0.0, -1.0),
    }  # fmt: skip
    pairs = pairs_of(answers)
    assert short(pairs) == [("4", "5", 0.6)]  # once, not for b too; learnability is 0.5 for all
    assert pairs["teacher_chosen"].to_pylist() == ["a"]


def test_of_a_teachers_several_answers_the_best_is_paired_with_its_own_reward() -> None:
    """Although a's label is the mean over its answers."""
    answers = {**ANSWERS, ("2 + 2?", "a", 1): ("3", "stop", 0.0, -1.0)}
    assert short(pairs_of(answers)) == short(pairs_of(ANSWERS))


def test_a_conversation_keeps_its_turns() -> None:
    answers = {("chat", *key[1:]): value for key, value in ANSWERS.items()}
    pairs = pairs_of(answers, prompts={text_id("chat"): CHAT}, system="Be exact.")
    roles = [[m["role"] for m in row] for row in pairs["prompt"].to_pylist()]
    assert roles == [["system", "user", "assistant", "user"]] * 3


def test_many_prompts_are_streamed_in_order() -> None:
    answers = {(f"{i}", *key[1:]): value for i in range(600) for key, value in ANSWERS.items()}
    pairs = pairs_of(answers)
    ids = sorted(text_id(f"{i}") for i in range(600))
    assert pairs["prompt_id"].to_pylist() == [i for i in ids for _ in range(3)]
    assert pc.min(pairs["margin"]).as_py() > 0


@given(SCORES, st.sampled_from([0.0, 0.3]), st.sampled_from(["all", "best_vs_worst"]))
def test_every_pair_is_better_than_worse_by_the_margin(scores, least, pairs) -> None:
    settings = PreferencesSettings(pairs=pairs, min_margin=least)
    found = list(choose_pairs(scores, settings))
    assert all(scores[x] - scores[y] > max(least - 1e-9, 1e-9) for x, y in found)
    far = {(x, y) for x in range(len(scores)) for y in range(len(scores))
           if scores[x] - scores[y] > max(least, 1e-9)}  # fmt: skip
    if pairs == "all":
        assert set(found) == far and len(found) == len(far)
    else:
        assert len(found) == bool(far)
        assert all(scores[x] == max(scores) and scores[y] == min(scores) for x, y in found)
