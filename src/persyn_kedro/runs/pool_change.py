"""Did this run route for a different pool of teachers than the previous run?"""

from collections.abc import Mapping, Sequence
from typing import Any

from kedro.pipeline import Pipeline

from persyn_kedro.datasets.atomic import AtomicVersionedDataset
from persyn_kedro.domain.routers import Routed, pool_change, pool_difference, pool_of

COLUMNS = ["prompt_id", "teacher"]


def find_pool_change(
    pipeline: Pipeline, catalog: Any, calls: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, Any] | None:
    """Return ``pool_change``; None if nothing was routed before or the pool is unchanged.

    Args:
        calls: by step, each teacher's calls in this run.
    """
    assignments = catalog.get("assignments")
    pair = _versions(pipeline, catalog, assignments)
    if pair is None:
        return None
    pools = [pool_of(assignments.load_version(version).schema) for version in pair]
    if not pool_difference(*pools):
        return None
    before, now = (_routed(assignments, catalog.get("router_metrics"), v) for v in pair)
    return pool_change(before, now, catalog.load("prompts"), calls)


def _versions(
    pipeline: Pipeline, catalog: Any, assignments: AtomicVersionedDataset
) -> tuple[str, str] | None:
    """Return the previous assignments and those of this run, if it has new ones.

    If this run made answers, those are the assignments that answers were made from: an earlier run
    may have been killed between routing and answering.
    """
    if "routed_calls" in pipeline.all_outputs():
        answers = catalog.get("routed_calls")
        made = answers.versions()[:2]
        inputs = [answers.record(v).get("input_versions", {}).get("assignments") for v in made]
    elif "assignments" in pipeline.all_outputs():
        answers, made = assignments, assignments.versions()[:2]
        inputs = made
    else:
        return None
    if len(made) < 2 or made[0] != str(answers.resolve_save_version()):
        return None
    now, before = inputs
    known = assignments.versions()
    return (before, now) if now != before and {now, before} <= set(known) else None


def _routed(
    assignments: AtomicVersionedDataset, metrics: AtomicVersionedDataset, version: str
) -> Routed:
    table = assignments.load_version(version)
    router = _router_behind(assignments, version)
    measured = [v for v in metrics.versions() if router and _router_behind(metrics, v) == router]
    return Routed(
        pool_of(table.schema),
        table.to_table(columns=COLUMNS),
        metrics.load_version(measured[0]) if measured else None,
    )


def _router_behind(dataset: AtomicVersionedDataset, version: str) -> str | None:
    """Return the content hash of the router that made this version, if known."""
    return dataset.record(version).get("reading", {}).get("inputs", {}).get("router")
