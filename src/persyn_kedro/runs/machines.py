"""Are the machines available that the steps would run on? Checked before the first step.

Only for steps that are not skipped: results made on a cluster can be used without one.
"""

from collections.abc import Iterable

from kedro.pipeline.node import Node

from persyn_kedro.foundations.processes import check_reachable
from persyn_kedro.foundations.settings import Needs, Settings
from persyn_kedro.runs.records import needs_of


def needs_check(settings: Settings) -> bool:
    """Return whether these settings need more than one process on this machine."""
    cluster = settings.cluster
    return cluster.address is not None or cluster.training_processes > 1


def check_machines(nodes: Iterable[Node], settings: Settings) -> None:
    """Refuse a run whose cluster or GPUs are missing, or whose student cannot be sharded.

    Args:
        nodes: those that will run.

    Raises:
        PersynError: names the setting.
    """
    needs = [needs_of([node], settings) for node in nodes]
    if any(_uses_cluster(need, settings) for need in needs):
        check_reachable(settings.cluster)
    _check_training(needs, settings)


def _uses_cluster(needs: Needs, settings: Settings) -> bool:
    """Return whether a step would use the cluster, if one is set."""
    if settings.cluster.address is None:
        return False
    if Needs.CLUSTER in needs:
        return True
    # A step that asks teachers judges only where it chooses the best of several answers.
    judges = Needs.TEACHERS not in needs or settings.generate.judged
    if Needs.JUDGE in needs and judges and settings.label.quality.model is not None:
        return True
    if settings.engine.name != "ray":
        return False
    return Needs.STUDENT in needs or (Needs.TEACHERS in needs and settings.has_local_teachers)


def _check_training(needs: list[Needs], settings: Settings) -> None:
    cluster = settings.cluster
    student = any(Needs.TRAINER | Needs.PROCESSES in need for need in needs)
    router = any(Needs.ROUTER | Needs.PROCESSES in need for need in needs)
    router = router and settings.train_router.kind == "language_model"
    if cluster.training_processes == 1 or not (student or router):
        return
    from persyn_kedro.foundations.models import check_shards, find_model
    from persyn_kedro.foundations.processes import check_gpus

    check_gpus(cluster.training_processes)
    if student and cluster.sharding == "fsdp":
        name = settings.student.model
        found = find_model(name, settings.models.root[name])
        if found is not None:  # otherwise checked once the weights are fetched
            check_shards(found, cluster.training_processes)
