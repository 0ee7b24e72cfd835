"""What a reader of a plan must know besides its figures."""

from collections.abc import Mapping, Sequence
from typing import Any

import pyarrow.dataset as pads

from persyn_kedro.domain.planning.prompts import Prompts
from persyn_kedro.domain.planning.work import Work
from persyn_kedro.domain.routers.assignment import weighed_by
from persyn_kedro.foundations.settings.generate import GenerateSettings
from persyn_kedro.foundations.settings.route import RouteSettings, asks_student


def plan_notes(
    prompts: Prompts,
    work: Work,
    absent: Sequence[str],
    assignments: pads.Dataset | None,
    focused: bool,
) -> list[str]:
    """Return the notes.

    Args:
        absent: the models that are not on this disk.
        assignments: those that the plan follows, if any.
        focused: whether the plan knows which prompts get no answer.
    """
    return [
        *_design_notes(prompts),
        *([] if focused else _bound_notes(work)),
        *_notes(absent, work, assignments is not None),
        *_route_notes(work.route, assignments),
    ]


def _bound_notes(work: Work) -> list[str]:
    """Say which train prompts are counted while it is not known which get an answer."""
    notes, count = [], work.rounds.count
    if count > 1:
        notes.append(f"The routed calls are those of the first of {count} rounds.")
    if asks_student([work.route]):
        notes.append(
            "The routed calls are an upper bound: which train prompts route.focus leaves out is "
            "not known yet. `kedro run --nodes=route.focus_prompts` finds out; it calls no teacher."
        )
    return notes


def _design_notes(prompts: Prompts) -> list[str]:
    if not prompts.adaptive:
        return []
    return [
        "label.design is adaptive: the calibration calls are the first ones, at random. It asks "
        "more while that is expected to pay, at most every teacher every prompt."
    ]


def _route_notes(route: RouteSettings, assignments: pads.Dataset | None) -> list[str]:
    """Say what costs and limits mean for the routed calls, and whether the routing is older."""
    notes = []
    if assignments is not None:
        made = weighed_by(assignments.schema) or {}
        names = ("objective", "budget", "capacity")
        now = route.model_dump(mode="json", include=set(names)) if route.weighed else {}
        if {name: made[name] for name in names if name in made} != now:
            notes.append(
                "The newest routing was made with other settings of route.objective, budget or "
                "capacity: run `kedro run --pipelines=route`, then plan again."
            )
        elif made:
            expected = made["expected"]
            notes.append(
                f"Routing expects {expected['tokens']:,.0f} tokens (prompts and answers) and cost "
                f"{expected['money']:.4g} for all routed answers, those in the store included."
            )
    elif route.weighed:
        notes.append(
            "route.objective, budget and capacity are not in these figures: routing weighs them "
            f"once the calibration answers are there ({route.rules})."
        )
    return notes


def _notes(absent: Sequence[str], work: Work, routed: bool) -> list[str]:
    notes = []
    priced = any(t.price or t.prompt_price for t in work.teachers.root.values())
    if routed:
        notes.append(
            "The routed calls follow the newest router's choices. A router that is trained again, "
            "for example after the rewards change, may choose differently."
        )
    if absent:
        notes.append(
            f"Not fetched yet: {', '.join(absent)}. Their answers in the store are not counted."
        )
    generate = work.generate
    asks_again = generate.verification in ("next_choice", "resample")
    if generate.most_calls > generate.at_once:
        why = f"verification is {generate.verification}" if asks_again else "keep is first"
        notes.append(f"generate.{why}: a prompt may take up to {generate.most_calls} routed calls.")
    if generate.on_failure == "next_choice":
        notes.append("generate.on_failure is next_choice: failed calls go to another teacher.")
    notes += [
        f"{name} is asked by a batch API, at {endpoint.batch_price_factor:g} of its prices: runs "
        "end as waiting until the answers are there."
        for name, teacher in work.teachers.root.items()
        if (endpoint := work.models.root[teacher.model].endpoint) and endpoint.batch
    ]
    if not priced:
        notes.append("No prices are set (teachers.<name>.price and prompt_price): costs are 0.")
    return notes


def judge_notes(judged: Sequence[Mapping[str, Any]], generate: GenerateSettings) -> list[str]:
    """Say what a judge's rows of PLAN come to, and which of its calls are not among them."""
    if not judged:
        return []
    also = ["generate (keep is best)"] if generate.judged else []
    *others, last = [*also, "compare", "compare_quality", "fit_signal"]
    notes = [
        f"The judge's {row['calls']:,.0f} calls come on top of the teachers': cost "
        f"{row['cost']:.4g} (at most {row['most_cost']:.4g}) for the calibration answers."
        for row in judged
    ]
    return [*notes, f"What a judge is asked in {', '.join(others)} and {last} is not counted."]
