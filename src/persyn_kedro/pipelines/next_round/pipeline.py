"""student, calibration answers, prompts not used yet -> round_2.student, … of the last round.

A round consists of the main pipeline's own nodes, for the student as the round before left it. What
they make has the round's number: round_2.rewards are the rewards made anew.
"""

import warnings
from functools import partial, update_wrapper

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from persyn_kedro.pipelines import evaluate, generate, label, route, sft, train_router
from persyn_kedro.pipelines.described import node
from persyn_kedro.pipelines.next_round.nodes import summarise_round

# Nodes of the main pipeline that a round repeats, and those of whole steps.
_LABEL = ("label.score_learnability", "label.normalise_rewards")
_EVALUATE = ("evaluate.answer_test_after", "evaluate.check_test_after")
_STEPS = (train_router, route, generate, sft)
_PREVIOUS = "previous_"  # begins a name of what the round before made
# What the nodes that use the student read besides what they do in the first round.
_MORE = {
    "label.score_learnability": ["previous_student"],
    "route.focus_prompts": ["previous_focus", "previous_student"],
    "sft.train_student": ["previous_student"],
}


def create_pipeline(count: int = 2) -> Pipeline:
    """Return the rounds from the second to number ``count``."""
    with warnings.catch_warnings():  # Kedro warns of a round that reads what another has made
        warnings.filterwarnings("ignore", "One or more dataset names contain", UserWarning)
        rounds = (_round(number) for number in range(2, max(2, count) + 1))
        return sum(rounds, Pipeline([]))


def _round(number: int) -> Pipeline:
    before = "" if number == 2 else f"round_{number - 1}."
    repeated = [
        *(each for each in label.create_pipeline().nodes if each.name in _LABEL),
        *(each for step in _STEPS for each in step.create_pipeline().nodes),
        *(each for each in evaluate.create_pipeline().nodes if each.name in _EVALUATE),
    ]
    whole = Pipeline([*(_again(each, number) for each in repeated), _summary(number)])
    read = whole.inputs()
    settings = {name for name in read if name.startswith("params:")}
    return Pipeline(
        whole,
        inputs={
            name: before + name.removeprefix(_PREVIOUS) if name.startswith(_PREVIOUS) else name
            for name in read - settings
        },
        parameters=settings,
        namespace=f"round_{number}",
    )


def _again(first: Node, number: int) -> Node:
    """Return a node of the first round as that of another round."""
    if first.name not in _MORE:
        return first
    function = first.func
    if first.name == "route.focus_prompts":
        function = update_wrapper(partial(function, number=number), function)
    return first._copy(func=function, inputs=[*first.inputs, *_MORE[first.name]])


def _summary(number: int) -> Node:
    return node(
        summarise_round,
        [
            "prompts",
            *(
                f"{before}{n}"
                for n in ("assignments", "rewards", "router_metrics", "test_quality_after")
                for before in (_PREVIOUS, "")
            ),
            "routed_calls",
            "focus",
            "params:teachers",
            "params:rounds",
            "params:evaluate",
            *(["previous_round_summary"] if number > 2 else []),
        ],
        ["round_summary", "round_page"],
        name="summarise_round",
        does="Shows how the best teachers, the router's choices and the student changed since the "
        "round before.",
    )
