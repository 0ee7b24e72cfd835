"""Are the machines available that the steps would run on? Checked before the first step.

Only for steps that are not skipped: results made on a cluster can be used without one.
"""

from collections.abc import Iterable, Sequence

from kedro.pipeline.node import Node

from persyn_kedro.domain.quality import check_sandbox
from persyn_kedro.foundations.processes import check_reachable
from persyn_kedro.foundations.settings import (
    Needs,
    QualitySettings,
    Settings,
    step_of,
    verifies_code,
    ways_among,
)
from persyn_kedro.runs.libraries import check_libraries, names_libraries
from persyn_kedro.runs.records import handed_groups, needs_of


def needs_check(settings: Settings) -> bool:
    """Return whether these settings need more than one process here, a sandbox or a library."""
    cluster = settings.cluster
    several = cluster.address is not None or cluster.training_processes > 1
    code = any(way.kind == "code" for way in settings.ways_by_key.values())
    return several or code or names_libraries(settings)


def check_machines(nodes: Iterable[Node], settings: Settings) -> None:
    """Refuse a run whose cluster or GPUs are missing, or whose student cannot be trained so.

    Args:
        nodes: those that will run.

    Raises:
        PersynError: names the setting.
    """
    steps = [(node, _ways(node, settings)) for node in nodes]
    check_sandbox([way for _, ways in steps for way in ways])
    if any(_uses_cluster(node, ways, settings) for node, ways in steps):
        check_reachable(settings.cluster)
    needs = [needs_of([node], settings) for node, _ in steps]
    _check_training(needs, settings)
    answering = {name for step in steps for name in _answering(*step, settings)}
    if settings.benchmark.backend == "vllm" and any(Needs.HARNESS in need for need in needs):
        answering.add(settings.student.model)
    check_libraries([node for node, _ in steps], answering, settings)


def _ways(node: Node, settings: Settings) -> Sequence[QualitySettings]:
    """Return the ways in which a step judges answers."""
    ways = ways_among(handed_groups(node, settings))
    if Needs.TEACHERS | Needs.JUDGE in step_of(node.func).needs and not settings.generate.judged:
        # It does not choose among answers; it may still verify them.
        verifies = verifies_code((settings.label, settings.generate))
        return [way for way in ways if way.kind == "code"] if verifies else []
    return ways if Needs.JUDGE in needs_of([node], settings) else []


def _uses_cluster(node: Node, ways: Sequence[QualitySettings], settings: Settings) -> bool:
    """Return whether a step would use the cluster, if one is set."""
    if settings.cluster.address is None:
        return False
    needs = needs_of([node], settings)
    if Needs.CLUSTER in needs or any(way.kind == "reward_model" for way in ways):
        return True
    if settings.cluster.training_on == "cluster" and any(_trained_together([needs], settings)):
        return True
    if settings.engine.name != "ray":
        return False
    return bool(_answering(node, ways, settings))


def _answering(node: Node, ways: Sequence[QualitySettings], settings: Settings) -> list[str]:
    """Return the local models that a step has answer: teachers', judges' and the student's."""
    found = [str(way.model) for way in ways if way.kind == "judge"]
    if Needs.TEACHERS in step_of(node.func).needs:
        found += [teacher.model for teacher in settings.teachers.root.values()]
    if Needs.STUDENT in needs_of([node], settings):
        found.append(settings.student.model)
    return [name for name in found if settings.models.root[name].endpoint is None]


def _trained_together(needs: Sequence[Needs], settings: Settings) -> tuple[bool, bool]:
    """Return whether ``cluster``'s training processes train a student, and a router."""
    student = any(Needs.TRAINER | Needs.PROCESSES in need for need in needs)
    router = any(Needs.ROUTER | Needs.PROCESSES in need for need in needs)
    return student, router and settings.train_router.trains_a_model


def _check_training(needs: list[Needs], settings: Settings) -> None:
    cluster = settings.cluster
    student, router = _trained_together(needs, settings)
    if cluster.training_processes == 1 or not (student or router):
        return
    from persyn_kedro.foundations.models import check_shards, find_model
    from persyn_kedro.foundations.processes import call_in_child, check_gpus

    if cluster.training_on == "machine":
        call_in_child(check_gpus, cluster.training_processes, label="counting GPUs")
    if student and cluster.sharding == "fsdp":
        name = settings.student.model
        found = find_model(name, settings.models.root[name])
        if found is not None:  # otherwise checked once the weights are fetched
            call_in_child(check_shards, found, cluster.training_processes, label="shards")
