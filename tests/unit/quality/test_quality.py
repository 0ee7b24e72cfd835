"""Right, wrong and unknown answers, and reward models' scores."""

import json
import math
import threading
from pathlib import Path

import pyarrow as pa
import pytest
import reasoning_gym

from persyn_kedro.domain.quality import checking, exact_answer, reward_model
from persyn_kedro.domain.quality.exact_answer import exact_answer_quality, extract_answer
from persyn_kedro.domain.stores.tables import QualityStore
from persyn_kedro.foundations.models.resolve import ResolvedModel
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.tables import schemas


@pytest.mark.parametrize(
    ("response", "reference", "quality"),
    [
        ("So the answer is \\boxed{72}.", "72", 1.0),
        ("So the answer is \\boxed{71}.", "72", 0.0),
        ("It is $\\frac{1}{2}$.", "0.5", 1.0),
        ("\\boxed{1 + x^2}", "x^2 + 1", 1.0),
        ("\\boxed{\\frac{2}{4}}", "\\frac{1}{2}", 1.0),
        ("1,000 it is", "She had 10 boxes of 100. #### 1,000", 1.0),
        ("I do not know.", "72", 0.0),
        ("", "72", 0.0),
        (" \n", "72", 0.0),
        ("The answer is **Paris**.", "paris", 1.0),
        ("Let me think.\nAnswer: B", "B", 1.0),
        ("London", "Paris", 0.0),
        ("\\boxed{\\text{Evelyn}}", "\\text{Evelyn}", 1.0),
        ("72", None, None),
        ("\\boxed{50\\%}", "50%", 1.0),
        ("\\boxed{51\\%}", "50%", 0.0),
        ("\\boxed{18}", "\\$18", 1.0),
    ],
)
def test_mathematics_and_text(response: str, reference: str | None, quality: float | None) -> None:
    assert exact_answer_quality(response, reference, "file.jsonl", None) == quality


@pytest.mark.parametrize(
    ("text", "numeric", "answer"),
    [
        ("\\boxed{1} then \\boxed{\\frac{3}{4}} and \\boxed{broken", True, "3/4"),
        ("<answer>1</answer> <answer> 2 </answer>", True, "2"),
        ("\\boxed{\\$1,250 \\text{ dollars}}", True, "1250"),
        ("\\boxed{3 or 5}", True, "3 or 5"),
        ("We get 10-3=7.", True, "7"),
        ("It fell to -5.", True, "-5"),
        ("First.\nThe final answer is: cab abc\n", False, "cab abc"),
        ("no number", True, "no number"),
    ],
)
def test_extract_answer(text: str, numeric: bool, answer: str) -> None:
    assert extract_answer(text, numeric) == answer


@pytest.mark.parametrize(
    "task",
    [
        "chain_sum", "word_sorting", "simple_equations", "fraction_simplification",
        "prime_factorization", "polynomial_multiplication", "simple_integration", "quantum_lock",
        "arc_agi",
    ],
)  # fmt: skip
def test_reasoning_gym_scores_its_own_entries(task: str) -> None:
    for entry in reasoning_gym.create_dataset(task, size=5, seed=3):
        metadata = json.dumps(entry, default=str, sort_keys=True)
        for response, quality in (
            (f"Hm.\n\\boxed{{{entry['answer']}}}", 1.0),
            ("\\boxed{-77}", 0.0),
        ):
            found = exact_answer_quality(response, entry["answer"], task, metadata)
            assert found == quality, (response, entry)


@pytest.mark.parametrize(
    ("task", "reference", "answer", "quality"),
    [
        ("prime_factorization", "2 × 3 × 3", "$2 \\times 3 \\times 3$", 1.0),
        ("prime_factorization", "2 × 3 × 3", "$2 \\times 9$", 0.0),
        ("prime_factorization", "2 × 3 × 3", "2 × 3 × 3.", 1.0),
        ("prime_factorization", "587", "587.0", 1.0),
        ("lcm", "12", "12.0", 1.0),
        ("lcm", "12", "12.5", 0.0),
        ("lcm", "12", "012", 0.0),
        ("lcm", "12", "24/2", 0.0),
        ("basic_arithmetic", "-0.5", "-0.50", 1.0),
        ("polynomial_multiplication", "9*x**3 + x", "9*x^3 + x", 1.0),
        ("polynomial_multiplication", "9*x**3 + x", "**9*x**3 + x**", 1.0),
        ("polynomial_multiplication", "9*x**3 + x", "9*x**2 + x", 0.0),
        ("quantum_lock", "A → B", "A \\rightarrow B", 1.0),
    ],
)
def test_tasks_read_latex_powers_and_decimals(
    task: str, reference: str, answer: str, quality: float
) -> None:
    entry = next(iter(reasoning_gym.create_dataset(task, size=1, seed=3)))
    if task == "polynomial_multiplication":
        entry["metadata"]["result"] = reference
    entry["answer"] = reference
    metadata = json.dumps(entry, default=str)
    assert exact_answer_quality(f"\\boxed{{{answer}}}", reference, task, metadata) == quality


def test_a_task_that_computes_an_answer_computes_latex_too() -> None:
    entry = next(iter(reasoning_gym.create_dataset("countdown", size=1, seed=5)))
    metadata, right = json.dumps(entry, default=str), entry["answer"]
    assert "*" in right and "/" in right, right
    latex = right.replace("*", "\\times ").replace("/", "\\div ")
    for text, quality in ((latex, 1.0), (latex + " + 1", 0.0)):
        found = exact_answer_quality(f"\\boxed{{{text}}}", right, "countdown", metadata)
        assert found == quality


def test_a_task_s_answer_keeps_its_sign_and_bracket() -> None:
    assert extract_answer("**Answer:** -5.0 + 20.0i", numeric=False) == "-5.0 + 20.0i"
    assert extract_answer("The answer is **[1, 2]**", numeric=False) == "[1, 2]"


def test_partial_credit_is_no_credit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact_answer, "_task_scorer", lambda name: lambda answer, entry: 0.99)
    metadata = json.dumps({"metadata": {"source_dataset": "t"}})
    assert exact_answer_quality("a b", "b a", "t", metadata) == 0.0


def test_a_verifier_that_crashes_or_hangs_gives_unknown(monkeypatch: pytest.MonkeyPatch) -> None:
    def hang(answer: str, entry: object) -> float:
        while True:
            pass

    metadata = json.dumps({"metadata": {"source_dataset": "t"}})
    assert exact_answer_quality("1", "1", "t", metadata) is None  # no such task
    monkeypatch.setattr(exact_answer, "TIMEOUT_SECONDS", 1)
    monkeypatch.setattr(exact_answer, "_task_scorer", lambda name: hang)
    assert exact_answer_quality("2", "1", "t", metadata) is None

    def crash(*args: object, **kwargs: object) -> bool:
        raise RecursionError

    monkeypatch.setattr(exact_answer, "same_answer", crash)
    assert exact_answer_quality("1", "1", "f", None) is None


@pytest.mark.parametrize(
    ("answer", "quality"),
    [("Yes", 1.0), ("yes.", 1.0), ("YES", 1.0), ("No", 0.0), ("Yes or no", 0.0)],
)
def test_a_task_of_words_overlooks_capitals_and_full_stops(answer: str, quality: float) -> None:
    entries = reasoning_gym.create_dataset("syllogism", size=20, seed=1)
    entry = next(e for e in entries if e["answer"] == "Yes")
    metadata = json.dumps(entry, default=str)
    assert exact_answer_quality(f"\\boxed{{{answer}}}", "Yes", "syllogism", metadata) == quality


def test_a_new_way_of_judging_judges_anew_and_finds_the_old_one_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The answers are the same ones, under their old keys: no teacher is asked."""
    row = {"prompt_id": "p", "teacher": "t", "response_key": "k", "finish_reason": "stop"}
    responses = pa.Table.from_pylist([{**row, "response": "\\boxed{4}"}], schemas.RESPONSES)
    prompts = {
        "p": {"prompt": "2+2", "messages": None, "reference": "4", "metadata": None, "source": "s"}
    }
    asked: list[float] = []

    def judge() -> list[float | None]:
        store = QualityStore(tmp_path)
        table = checking.check_quality(
            responses, prompts, {"t": "keep"}, exact_answer.ExactAnswer(), store
        )
        return table["quality"].to_pylist()

    for version, quality in ((1, 0.0), (2, 1.0), (1, 0.0)):
        monkeypatch.setattr(exact_answer, "VERSION", version)
        monkeypatch.setattr(
            exact_answer,
            "exact_answer_quality",
            lambda *a, quality=quality: asked.append(quality) or quality,
        )
        assert judge() == [quality]
    assert asked == [0.0, 1.0]


@pytest.mark.parametrize(
    "response", ["The answer is not {}.", "It is {} or 17.", "It cannot be {}."]
)
def test_a_task_of_numbers_takes_no_denial_or_hedge_for_its_answer(response: str) -> None:
    entry = next(iter(reasoning_gym.create_dataset("chain_sum", size=1, seed=3)))
    metadata = json.dumps(entry, default=str)
    text = response.format(entry["answer"])
    assert exact_answer_quality(text, entry["answer"], "chain_sum", metadata) == 0.0


def test_works_off_the_main_thread() -> None:
    found = []
    thread = threading.Thread(
        target=lambda: found.append(exact_answer_quality("\\boxed{4}", "4", "f", None))
    )
    thread.start()
    thread.join()
    assert found == [1.0]


def test_unknown_scores_are_counted_in_one_warning(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    scores = {"p": math.nan, "q": math.inf, "r": -1.5}

    def spread(make, *args, items, **options):  # type: ignore[no-untyped-def]
        found = {p: score if math.isfinite(score) else None for p, score in scores.items()}
        yield 0, [(key, found[prompt]) for key, prompt, _ in items]

    monkeypatch.setattr(reward_model, "spread", spread)
    responses = pa.Table.from_pylist(
        [
            {"prompt_id": p, "teacher": "t", "response_key": p, "response": "x",
             "finish_reason": "stop"} for p in scores
        ],
        schemas.RESPONSES,
    )  # fmt: skip
    row = dict.fromkeys(("messages", "reference", "metadata"))
    prompts = {p: {"prompt": p, "source": "s", **row} for p in scores}
    model = ResolvedModel("judge", tmp_path, "w", ModelSettings(local=str(tmp_path)))
    for _ in range(2):  # the second time from the store
        caplog.clear()
        table = checking.check_quality(
            responses,
            prompts,
            {"t": "keep"},
            reward_model.RewardModel(model),
            QualityStore(tmp_path),
        )
        assert table["quality"].to_pylist() == [None, None, -1.5]
        assert "2 of 3 responses got no finite score from reward model judge" in caplog.text


@pytest.mark.parametrize(
    "part",
    [
        "so 1 + 1 and ", "1", "a", r"\frac{1}{", "\n", "- ", "Wait, no. ", "12, ", "$ 1 ", "1/2 ",
        "1:", "x = 1\n", "the answer is ",
    ],
)  # fmt: skip
def test_an_answer_that_repeats_itself_is_judged_in_time(part: str) -> None:
    """Small models do; what is read again from each character is unknown after the time limit."""
    text = (part * 64_000)[:64_000] + "\nThe answer is 42."
    assert exact_answer_quality(text, "42", "source", None) == 1.0
    assert exact_answer_quality(text, "43", "source", None) == 0.0
