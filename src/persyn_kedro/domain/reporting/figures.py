"""Figures as text, the same in the terminal and on the page."""

from typing import Any


def number(value: float | None, digits: int = 3) -> str:
    """Return a rounded number, or a dash where there is none."""
    return "–" if value is None else f"{value:.{digits}f}"


def percent(value: float | None) -> str:
    """Return a share as a percentage."""
    return "–" if value is None else f"{100 * value:.1f} %"


def with_interval(value: float | None, interval: Any, show: Any) -> str:
    """Return ``value [low, high]``."""
    if interval is None:
        return show(value)
    return f"{show(value)} [{show(interval[0])}, {show(interval[1])}]"


def router_rows(router: dict[str, Any]) -> list[list[str]]:
    """Return name, Hit@1, Hit@3 (or the last k) and regret of router, constant and random."""
    last = last_hit(router)
    names = {
        "router": "router",
        "constant": f"always {router['constant_teacher']}",
        "random": "random",
    }
    return [
        [
            spoken,
            percent(router[key]["hit@1"]),
            percent(router[key][last]),
            number(router[key]["regret"]),
        ]
        for key, spoken in names.items()
    ]


def last_hit(router: dict[str, Any]) -> str:
    """Return ``hit@3``, or the largest k there is in a smaller pool."""
    hits = [key for key in router["router"] if key.startswith("hit@")]
    return "hit@3" if "hit@3" in hits else hits[-1]


def student_rows(student: dict[str, Any]) -> list[list[str]]:
    """Return measure, n, before, after and difference, with intervals."""
    measures = [
        ("exact-match accuracy (test)", student["accuracy"], percent),
        ("NLL a token, nats (withheld)", student["nll"], number),
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
    """Return teacher, prompts, tokens, calls and mean reward, quality, learnability."""
    return [
        [
            t["teacher"],
            str(t["prompts"]),
            str(t["tokens"]),
            str(t["calls"]),
            number(t["mean_reward"]),
            number(t["mean_quality"]),
            number(t["mean_learnability"]),
        ]
        for t in teachers
    ]


TEACHER_COLUMNS = [
    "teacher", "prompts", "tokens", "calls", "mean reward", "mean quality", "mean learnability",
]  # fmt: skip
STUDENT_COLUMNS = ["student", "n", "before", "after", "difference"]


def router_columns(router: dict[str, Any]) -> list[str]:
    """Return the heads of ``router_rows``."""
    return [f"held-out prompts (n = {router['n']})", "Hit@1", last_hit(router).title(), "regret"]
