"""Are the machines there on which the steps to do would run? Asked before the first of them.

Only of steps that are not skipped: what was made on a cluster is used without one.
"""

from collections.abc import Iterable
from typing import Any

from kedro.pipeline.node import Node

from persyn_kedro.foundations.processes import check_reachable

_SCORING = {  # by the student or the router, in actors
    "label.score_learnability",
    "route.route_prompts",
    "evaluate.score_withheld_before",
    "evaluate.score_withheld_after",
}
_ASKING_TEACHERS = {
    "label.answer_calibration_prompts",
    "generate.generate_responses",
    "compare.generate_strategies",
}
_STUDENTS = "compare.train_and_test_students"
_ASKING_THE_STUDENT = {"evaluate.answer_test_before", "evaluate.answer_test_after", _STUDENTS}
_JUDGING = {"label.score_quality", _STUDENTS}
_TRAINING_THE_STUDENT = {"sft.train_student", _STUDENTS}
_TRAINING_A_ROUTER = {"train_router.fit_router"}


def needs_check(settings: dict[str, Any]) -> bool:
    """Tell whether these settings ask for more than one process of this machine."""
    cluster = settings["cluster"]
    return cluster.address is not None or cluster.training_processes > 1


def check_machines(nodes: Iterable[Node], settings: dict[str, Any]) -> None:
    """Refuse a run whose cluster or GPUs are not there, or whose student cannot be shared out.

    Args:
        nodes: those that are to be done.
        settings: all groups.

    Raises:
        PersynError: names the setting.
    """
    steps = {node.name for node in nodes}
    if steps & _on_cluster(settings):
        check_reachable(settings["cluster"])
    _check_training(steps, settings)


def _on_cluster(settings: dict[str, Any]) -> set[str]:
    """Return the steps that would use the cluster, if there is to be one."""
    if settings["cluster"].address is None:
        return set()
    models, found = settings["models"].root, set(_SCORING)
    if settings["label"].quality.model is not None:
        found |= _JUDGING
    if settings["engine"].name == "ray":
        found |= _ASKING_THE_STUDENT
        if any(not models[t.model].endpoint for t in settings["teachers"].root.values()):
            found |= _ASKING_TEACHERS
    return found


def _check_training(steps: set[str], settings: dict[str, Any]) -> None:
    cluster = settings["cluster"]
    student = bool(steps & _TRAINING_THE_STUDENT)
    router = steps & _TRAINING_A_ROUTER and settings["train_router"].kind == "language_model"
    if cluster.training_processes == 1 or not (student or router):
        return
    from persyn_kedro.foundations.models import check_shards, find_model
    from persyn_kedro.foundations.processes import check_gpus

    check_gpus(cluster.training_processes)
    if student and cluster.sharding == "fsdp":
        name = settings["student"].model
        found = find_model(name, settings["models"].root[name])
        if found is not None:  # else it is told once the weights are fetched
            check_shards(found, cluster.training_processes)
