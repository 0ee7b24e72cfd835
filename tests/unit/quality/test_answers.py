"""Final answers, each held to what a human grader says (answers.yml), and to the time limit."""

import threading
import time
from pathlib import Path

import pytest
import yaml

from persyn_kedro.domain.quality import exact_answer
from persyn_kedro.domain.quality.exact_answer import exact_answer_quality

TABLE = yaml.safe_load(Path(__file__).with_name("answers.yml").read_text(encoding="utf-8"))
TRIPLES = [
    (response, reference, float(verdict == "right"))
    for verdicts in TABLE.values()
    for verdict, pairs in verdicts.items()
    for response, reference in pairs
]


def test_the_table_is_large_and_a_third_of_it_is_wrong() -> None:
    assert len(TRIPLES) >= 700
    assert sum(quality == 0 for *_, quality in TRIPLES) >= len(TRIPLES) / 3
    assert len(set(TRIPLES)) == len(TRIPLES)


@pytest.mark.parametrize("form", TABLE)
def test_each_answer_is_judged_as_a_human_would(form: str) -> None:
    wrongly = [
        (response, reference, verdict)
        for verdict, pairs in TABLE[form].items()
        for response, reference in pairs
        if exact_answer_quality(response, reference, "f", None) != float(verdict == "right")
    ]
    assert not wrongly


@pytest.mark.parametrize(
    "response",
    [
        r"\boxed{9^{9^{9^{9}}}}",
        "9^9^9^9",
        r"\boxed{2^{2^{2^{2^{2^{2}}}}}}",
        r"\boxed{99999999999!}",
        r"\boxed{3!!!!!!!}",
        r"\boxed{\binom{10000000000}{5000000000}}",
        r"\boxed{10^{999999999999}}",
        r"\boxed{1e999999999}",
        r"\boxed{" + "9" * 100_000 + "}",
        r"\boxed{" + "(" * 5000 + "1" + ")" * 5000 + "}",
        r"\boxed{" + "(" * 20 + "1" + ")" * 20 + "}",
        r"\boxed{" + "(" * 100 + "1" + ")" * 100 + "}",
        r"\boxed{" + "(x+" * 20 + "1" + ")" * 20 + "}",
        r"\boxed{" + r"\frac{1}{1+" * 100 + "1" + "}" * 100 + "}",
        r"\boxed{" + "xy" * 400 + "}",
        r"\boxed{" + "{" * 5000 + "1" + "}" * 5000 + "}",
        r"\boxed{" * 10_000 + "1",
        r"\frac{" * 20_000,
        "1+" * 50_000 + "1",
        "7 " * 50_000,
        "1," * 50_000,
        "$" * 100_000,
        "the answer is " * 7000,
        "<answer>" * 12_000,
    ],
    ids=lambda response: response[:20],
)
def test_an_answer_of_any_size_is_wrong_in_time_on_any_thread(response: str) -> None:
    found: list[float | None] = []

    def judge() -> None:
        found.append(exact_answer_quality(response, "42", "f", None))

    thread = threading.Thread(target=judge, daemon=True)  # where no alarm can be set
    thread.start()
    thread.join(60)
    assert found == [0.0]


def test_what_takes_too_long_is_unknown_within_the_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exact_answer, "TIMEOUT_SECONDS", 1)
    start = time.process_time()
    response = r"\boxed{\int_0^1 e^{e^{e^{e^{\sin x}}}} \ln(1+x^{x^x}) dx}"
    assert exact_answer_quality(response, "42", "f", None) in (None, 0.0)
    assert time.process_time() - start < 1 + 5


def test_a_reference_too_large_to_work_with_is_unknown_but_itself() -> None:
    assert exact_answer_quality(r"\boxed{42}", "9^{9^{9^9}}", "f", None) is None
    assert exact_answer_quality(r"\boxed{9^{9^{9^9}}}", "9^{9^{9^9}}", "f", None) == 1.0
