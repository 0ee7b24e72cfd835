"""A round's figures as text, the same in the terminal and on the page."""

from collections.abc import Mapping
from typing import Any

from persyn_kedro.domain.reporting.focus_figures import focus_sentences
from persyn_kedro.domain.reporting.formatting import number, percent, with_interval

ROUND_COLUMNS = ["round", "test accuracy"]
TEACHER_COLUMNS = [
    "teacher", "learnability before", "now", "best before", "now ", "routed before", "now  ",
    "calls", "tokens",
]  # fmt: skip
MOVE_COLUMNS = ["from", "to", "prompts"]
MEANING = {
    "learnability": "mean over the teacher's calibration answers, by the student before the last "
    "round and by the student that the round began with",
    "best": "calibration prompts on which the teacher's answer has the highest reward",
    "routed": "calibration and train prompts, by the router's choice",
    "calls and tokens": "made in the round; answers in the store are free",
}


def round_rows(summary: Mapping[str, Any]) -> list[list[str]]:
    """Return the cells of ``ROUND_COLUMNS``: the student after each round."""
    return [
        [str(place), percent(each["accuracy"])] for place, each in enumerate(summary["rounds"], 1)
    ]


def teacher_rows(summary: Mapping[str, Any]) -> list[list[str]]:
    """Return the cells of ``TEACHER_COLUMNS``."""
    return [
        [
            t["teacher"],
            *map(number, t["learnability"]),
            *map(str, [*t["best"], *t["routed"], t["calls"], t["tokens"]]),
        ]
        for t in summary["teachers"]
    ]


def move_rows(moved: Mapping[str, Any]) -> list[list[str]]:
    """Return the cells of ``MOVE_COLUMNS``, most prompts first."""
    return [[m["from"], m["to"], str(m["prompts"])] for m in moved["moves"]]


def _regret(router: Mapping[str, Any]) -> list[str]:
    sides = [router["before"], router["now"]]
    if not all(side["n"] for side in sides):
        return []
    first, second = (
        f"{number(side['router'])} ({number(side['constant'])} when always choosing the best "
        "teacher)"
        for side in sides
    )
    return [
        f"On {sides[1]['n']} held-out prompts the router's regret was {first} and is now {second}, "
        "by the rewards of the time."
    ]


def sentences(summary: Mapping[str, Any]) -> list[str]:
    """Return the essentials: the student, the choices that moved, the router, the prompts."""
    accuracy, best, routed = summary["accuracy"], summary["best"], summary["routed"]
    found = [
        f"Of {best['n']} calibration prompts, {best['n'] - best['same']} have another best teacher "
        f"than in the round before; the router sends {routed['n'] - routed['same']} of "
        f"{routed['n']} calibration and train prompts to another teacher.",
        *_regret(summary["router"]),
        f"Prompts of this round: {summary['focus']['kept']}. "
        + " ".join(focus_sentences(summary["focus"])[:1]),
    ]
    if accuracy["n"]:
        shown = with_interval(
            accuracy["difference"],
            accuracy["difference_interval"],
            lambda points: f"{100 * points:+.1f}",
        )
        found.insert(
            0,
            f"The student's test accuracy went from {percent(accuracy['before'])} to "
            f"{percent(accuracy['after'])} in this round, on {accuracy['n']} prompts: {shown} "
            f"points ({percent(accuracy['confidence'])} interval).",
        )
    return found
