"""Can this run be done? Everything that can be checked before a step is paid for."""

import inspect
from collections.abc import Iterable
from typing import Any

from kedro.pipeline.node import Node

from persyn_kedro.datasets.atomic import AtomicVersionedDataset
from persyn_kedro.datasets.handles import StoreHandle
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models import (
    ask_anew,
    check_hub_files,
    check_known_template,
    identify_weights,
)
from persyn_kedro.foundations.processes import check_cluster
from persyn_kedro.foundations.settings import GROUPS, Needs, Settings, step_of
from persyn_kedro.foundations.storage import Place, check_writable
from persyn_kedro.foundations.tracking import check_tracking
from persyn_kedro.pipeline_registry import MAKERS
from persyn_kedro.runs.belonging import check_belonging
from persyn_kedro.runs.extras import check_extras
from persyn_kedro.runs.pool_checks import check_pool
from persyn_kedro.runs.records import groups_of, models_of, needs_of


def check_run(run_params: dict[str, Any], pipeline: Any, catalog: Any, settings: Settings) -> None:
    """Refuse, in one sentence, a run that cannot be done as requested.

    Raises:
        PersynError: names the group, version, input, model or setting that is wrong or missing, or
            two inputs that do not belong together.
    """
    _check_groups(catalog)
    check_extras(pipeline, settings)
    check_tracking(settings.tracking)
    _check_places(pipeline, catalog)
    check_load_versions(run_params.get("load_versions") or {}, pipeline, catalog)
    check_inputs(pipeline, catalog)
    check_belonging(pipeline, catalog, settings)
    asked = Needs.TEACHERS in needs_of(pipeline.nodes, settings)
    check_pool(settings, groups_of(pipeline.nodes), asked)
    check_cluster(settings.cluster, settings.engine)
    _check_steps(pipeline.nodes, settings)
    _check_models(pipeline, settings)


def _check_groups(catalog: Any) -> None:
    """Refuse a group of parameters that no registered pipeline reads, usually a misspelt one."""
    from kedro.framework.project import pipelines

    groups = {name.removeprefix("params:") for name in catalog.keys() if name.startswith("params:")}
    groups = {name for name in groups if "." not in name}
    if groups <= {*GROUPS, "seed"}:
        return  # without importing every pipeline's nodes
    read = {name for p in pipelines.values() if p is not None for name in p.inputs()}
    read = {name.removeprefix("params:").partition(".")[0] for name in read} | GROUPS.keys()
    unknown = sorted(groups - read)
    if unknown:
        raise PersynError(
            f"Unknown group of parameters {unknown[0]!r}; available: "
            f"{', '.join(sorted(read & groups))}."
        )


def _check_places(pipeline: Any, catalog: Any) -> None:
    """Refuse an object store that cannot be written to; each bucket is checked once."""
    places: dict[str, Place] = {}
    for name in sorted(pipeline.datasets()):
        dataset = catalog.get(name)
        if isinstance(dataset, AtomicVersionedDataset | StoreHandle):
            bucket = "/".join(str(dataset.root).split("/")[:3])  # s3://bucket
            places.setdefault(bucket, dataset.root.parent)
    for where in places.values():
        check_writable(where)


def check_load_versions(chosen: dict[str, str], pipeline: Any, catalog: Any) -> None:
    """Refuse what Kedro ignores (no versions) or mixes up (written by this run itself)."""
    for name, version in chosen.items():
        dataset = catalog.get(name)
        if not isinstance(dataset, AtomicVersionedDataset):
            raise PersynError(f"--load-versions: {name} has no versions; leave it out.")
        if name in pipeline.all_outputs():
            raise PersynError(
                f"--load-versions: {name} is made by this run itself; to start from one of its "
                "versions, run only the later steps (--pipelines)."
            )
        if not dataset.exists():
            newest = ", ".join(dataset.versions()[:3]) or "none"
            raise PersynError(
                f"--load-versions: {name} has no version {version}; the newest are {newest}."
            )


def _check_models(pipeline: Any, settings: Settings) -> None:
    """Identify each model of this run: a missing one stops it before any API call."""
    ask_anew()
    for name, model in models_of(pipeline, settings).items():
        weights_id = identify_weights(name, model)
        if model.hub:
            check_hub_files(model, weights_id.rpartition("@")[2])
        check_known_template(name, model, weights_id)


def _check_steps(nodes: Iterable[Node], settings: Settings) -> None:
    """Run each step's own check of its settings, once, before any step starts."""
    for check in dict.fromkeys(step_of(node.func).check for node in nodes):
        if check is not None:
            check(
                **{group: getattr(settings, group) for group in inspect.signature(check).parameters}
            )


def check_inputs(pipeline: Any, catalog: Any) -> None:
    """Raise an error that names the missing input and the steps that make it."""
    missing = [
        name
        for name in sorted(pipeline.inputs())
        if not name.startswith("params:") and not catalog.exists(name)
    ]
    if not missing:
        return
    producers = {out: step for step, made in MAKERS.items() for out in made().all_outputs()}
    steps = _upstream(missing, producers, catalog)
    first = max(
        (m for m in missing if m in producers), key=lambda m: list(MAKERS).index(producers[m])
    )
    (maker,) = MAKERS[producers[first]]().only_nodes_with_outputs(first).nodes
    spoken = step_of(maker.func).spoken.get(first, first.replace("_", " "))
    raise PersynError(f"No {spoken}: run `kedro run --pipelines={','.join(steps)}`.")


def _upstream(missing: list[str], producers: dict[str, str], catalog: Any) -> list[str]:
    needed: set[str] = set()
    queue = [name for name in missing if name in producers]
    while queue:
        step = producers[queue.pop()]
        if step in needed:
            continue
        needed.add(step)
        inputs = MAKERS[step]().inputs()
        queue += [i for i in inputs if i in producers and not catalog.exists(i)]
    return [step for step in MAKERS if step in needed]
