"""Figures as text, the same in the terminal and on the page."""

from collections.abc import Mapping
from typing import Any


def number(value: float | None, digits: int = 3) -> str:
    """Return a rounded number, or a dash for None."""
    return "–" if value is None else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    """Return a share as a percentage."""
    return "–" if value is None else f"{100 * value:.1f} %"


def counted(counts: Mapping[str, int]) -> str:
    """Return ``name count`` of each, separated by commas."""
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def with_interval(value: float | None, interval: Any, show: Any) -> str:
    """Return ``value [low, high]``."""
    if interval is None:
        return show(value)
    return f"{show(value)} [{show(interval[0])}, {show(interval[1])}]"


def router_rows(router: dict[str, Any]) -> list[list[str]]:
    """Return name, the shown Hit@k and regret of router, constant and random."""
    names = {
        "router": "router",
        "constant": f"always {router['constant_teacher']}",
        "random": "random",
    }
    return [
        [
            spoken,
            *(percent(router[key][hit]) for hit in shown_hits(router)),
            number(router[key]["regret"]),
            *([number(router[key]["reward"])] if "reward" in router[key] else []),
        ]
        for key, spoken in names.items()
    ]


def shown_hits(router: dict[str, Any]) -> list[str]:
    """Return ``hit@1`` and ``hit@3``, or the largest k above 1 in a smaller pool."""
    hits = [key for key in router["router"] if key.startswith("hit@")]
    last = "hit@3" if "hit@3" in hits else hits[-1]
    return list(dict.fromkeys(["hit@1", last]))


def students_table(
    student: dict[str, Any], preferred: dict[str, Any] | None
) -> tuple[list[str], list[list[str]]]:
    """Return the columns and the rows of the student after each of its trainings.

    Args:
        student: before and after fine-tuning.
        preferred: before and after the training on preferences that followed, if any.
    """
    if preferred is None:
        return STUDENT_COLUMNS, student_rows(student)
    steps = {"sft": student, "dpo": preferred}
    rows = [[step, *row] for step, found in steps.items() for row in student_rows(found)]
    return ["step", *STUDENT_COLUMNS], rows


def student_rows(student: dict[str, Any]) -> list[list[str]]:
    """Return measure, n, before, after and difference, with intervals."""
    measures = [
        ("test accuracy", student["accuracy"], percent),
        ("withheld NLL", student["nll"], number),
    ]
    return [
        [
            name,
            str(m["n"]),
            *(
                with_interval(m[side], m[f"{side}_interval"], show)
                for side in ("before", "after", "difference")
            ),
        ]
        for name, m, show in measures
    ]


def teacher_rows(teachers: list[dict[str, Any]]) -> list[list[str]]:
    """Return the cells of ``TEACHER_COLUMNS``."""
    return [
        [
            t["teacher"],
            *(
                str(t[name])
                for name in (
                    "prompts",
                    "calibration_responses",
                    "routed_responses",
                    "tokens",
                    "calls",
                )
            ),
            number(t["mean_reward"]),
            number(t["mean_quality"]),
            number(t["mean_learnability"]),
        ]
        for t in teachers
    ]


TEACHER_COLUMNS = [
    "teacher", "prompts", "calibration", "routed", "tokens", "calls", "reward", "quality",
    "learnability",
]  # fmt: skip
MEANING = {
    "teachers": {
        "prompts": "calibration and train, by the router's choice",
        "calibration": "answers to calibration prompts",
        "routed": "answers chosen for training",
        "tokens": "of the chosen answers",
        "calls": "answers requested in this run (those in the store are free)",
        "reward": "0 to 1, normalised (label.normalise); mean over the calibration answers, as are "
        "the next two",
        "quality": "1 for a right answer, or a reward model's score",
        "learnability": "the student's mean token log-likelihood in nats; closer to 0 is easier "
        "(label.learnability may name another signal)",
    },
    "router": {
        "Hit@k": "how often the prompt's best teacher is among the first k choices",
        "regret": "mean reward lost to the best teacher; lower is better",
    },
    "pool": {
        "prompts before, now": "calibration and train, by the router's choice",
        "calls": "made in this run (answers in the store are free)",
    },
    "student": {
        "test accuracy": "exact match",
        "withheld NLL": "nats per token, on answers withheld from training; lower is better",
    },
}
POOL_COLUMNS = ["teacher", "prompts before", "now", "calibration calls", "routed calls"]
STUDENT_COLUMNS = ["student", "n", "before", "after", "difference"]


def pool_rows(change: dict[str, Any]) -> list[list[str]]:
    """Return the cells of ``POOL_COLUMNS``."""
    names = ("before", "now", "calibration_calls", "routed_calls")
    return [[t["teacher"], *(str(t[name]) for name in names)] for t in change["teachers"]]


def regret_sentences(router: dict[str, Any]) -> list[str]:
    """Say what the router's regret was before and is now, if it was measured both times."""
    before, now = router["before"], router["now"]
    if not (before and before["n"] and now and now["n"]):
        return []
    return [
        f"The router's regret on held-out prompts was {number(before['router'])} (n = "
        f"{before['n']}; {number(before['constant'])} when always choosing the best teacher) and "
        f"is now {number(now['router'])} (n = {now['n']}; {number(now['constant'])}). Each is "
        "relative to the best teacher of its own pool, so they show how well prompts are routed, "
        "not how good the pool is."
    ]


def router_columns(router: dict[str, Any]) -> list[str]:
    """Return the column headings of ``router_rows``."""
    return [
        f"held-out prompts (n = {router['n']})",
        *(hit.title() for hit in shown_hits(router)),
        "regret",
        *(["reward, corrected"] if "reward" in router["router"] else []),
    ]


def in_words(meaning: dict[str, str]) -> str:
    """Return the meanings of a table's columns as running text."""
    return " ".join(f"{name[0].upper()}{name[1:]}: {text}." for name, text in meaning.items())


def in_short(summary: dict[str, Any]) -> list[str]:
    """Return the essentials for a hurried reader: the cost, the router, the student."""
    calls, router, accuracy = summary["calls"], summary["router"], summary["student"]["accuracy"]
    said = [
        f"With an empty store this takes {calls['on_an_empty_store']} teacher calls; having every "
        f"teacher answer every prompt takes {calls['generate_then_select']}.",
    ]
    if accuracy["n"] and accuracy["difference_interval"]:
        low, high = (100 * end for end in accuracy["difference_interval"])
        said.append(
            f"The student's test accuracy went from {percent(accuracy['before'])} to "
            f"{percent(accuracy['after'])} on {accuracy['n']} prompts (a difference of "
            f"{100 * accuracy['difference']:+.1f} points; {percent(accuracy['confidence'])} "
            f"interval from {low:+.1f} to {high:+.1f})."
        )
    if router["n"]:
        said.append(
            f"On {router['n']} calibration prompts that it did not see in training, the router "
            f"loses {number(router['router']['regret'])} of reward against the best teacher; "
            f"always choosing {router['constant_teacher']} loses "
            f"{number(router['constant']['regret'])}."
        )
    return said
