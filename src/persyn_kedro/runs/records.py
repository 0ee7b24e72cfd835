"""What made the versions of a catalog's datasets, and what would make them now."""

import inspect
from collections.abc import Iterable, Mapping
from functools import cache, reduce
from operator import or_
from types import MappingProxyType
from typing import Any

from kedro.pipeline import Pipeline
from kedro.pipeline.node import Node

from persyn_kedro.datasets.atomic import AtomicVersionedDataset
from persyn_kedro.datasets.handles import StoreHandle
from persyn_kedro.datasets.newest_table import Newest
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.models import model_identity
from persyn_kedro.foundations.settings import (
    GROUPS,
    Models,
    ModelSettings,
    Needs,
    Settings,
    hand,
    read_settings,
    step_of,
)
from persyn_kedro.pipeline_registry import register_pipelines
from persyn_kedro.runs.fingerprints import Record, difference, fingerprint, reading


def settings_of(node: Node) -> dict[str, str]:
    """Return the groups of settings that a node takes, by argument of its function."""
    # Kedro has checked that they match; arguments at the end may have defaults.
    names = zip(inspect.signature(node.func).parameters, node.inputs, strict=False)
    return {a: n.removeprefix("params:") for a, n in names if n.startswith("params:")}


def texts_of(node: Node, groups: Iterable[Any] = ()) -> list[str]:
    """Return the tables of which a node reads only prompts' texts (``step``'s ``texts``).

    Args:
        groups: its settings; without them, the tables of which it may do so.
    """
    texts = step_of(node.func).texts_with(groups)
    names = zip(inspect.signature(node.func).parameters, node.inputs, strict=False)
    return [name for argument, name in names if argument in texts]


def inputs_read(node: Node, settings: Settings) -> list[str]:
    """Return the inputs that a node reads with these settings (``step``'s ``only_if``)."""
    groups = {a: getattr(settings, group) for a, group in settings_of(node).items()}
    unread = step_of(node.func).unread(groups)
    names = zip(inspect.signature(node.func).parameters, node.inputs, strict=False)
    return [name for argument, name in names if argument not in unread]


def groups_of(nodes: Iterable[Node]) -> set[str]:
    """Return the groups of settings that any of these nodes takes."""
    return {group for node in nodes for group in settings_of(node).values()}


def needs_of(nodes: Iterable[Node], settings: Settings | None = None) -> Needs:
    """Return what any of these nodes needs, with these settings or with the defaults."""
    needs = (step_of(n.func).needs_with(handed_groups(n, settings)) for n in nodes)
    return reduce(or_, needs, Needs.NOTHING)


def handed_groups(node: Node, settings: Settings | None) -> list[Any]:
    """Return the groups of settings that a node is handed; none without settings."""
    if settings is None:
        return []
    return [getattr(settings, group) for group in settings_of(node).values()]


def settings_in(catalog: Any) -> Settings:
    """Return all settings in a catalog."""
    return read_settings({name: catalog.load(f"params:{name}") for name in [*GROUPS, "seed"]})


def models_of(pipeline: Pipeline, settings: Settings) -> dict[str, ModelSettings]:
    """Return the models by name that the pipeline's nodes use."""
    used: dict[str, ModelSettings] = {}
    for node in pipeline.nodes:
        values = {a: getattr(settings, group) for a, group in settings_of(node).items()}
        for value in hand(values, step_of(node.func)).values():
            used |= value.root if isinstance(value, Models) else {}
    return used


class StepRecords:
    """Compares what made the versions of a catalog's datasets with what would make them now."""

    def __init__(self, catalog: Any) -> None:
        self._catalog = catalog
        self.settings = settings_in(catalog)
        self._identify = cache(model_identity)

    def to_do(self, pipeline: Pipeline, redo: bool = False) -> list[Node]:
        """Return the nodes without a match, and those after them, which may turn out to have one.

        Args:
            redo: ignore all matches.
        """
        found: list[Node] = []
        open_inputs: set[str] = set()
        contents: dict[str, str] = {}
        for node in pipeline.nodes:
            match = None
            if not (redo or step_of(node.func).always or open_inputs & set(node.inputs)):
                match = self.match(node, self.reading(node, contents))
            if match is None:
                found.append(node)
                open_inputs |= set(node.outputs)
            else:
                outputs = self._outputs(node).items()
                contents |= {name: d.record(match)["content"] for name, d in outputs}
        return found

    def reading(self, node: Node, contents: Mapping[str, str] = MappingProxyType({})) -> Record:
        """Return what the node's result depends on now.

        Args:
            contents: content hashes of inputs that are to replace those of the newest versions.
        """
        groups = settings_of(node).items()
        settings = {a: (group, getattr(self.settings, group)) for a, group in groups}
        inputs, looked_up = {}, texts_of(node, [group for _, group in settings.values()])
        for name in [n for n in node.inputs if n not in looked_up]:
            if name in contents:
                inputs[name] = contents[name]
            elif (dataset := self._versioned(name)) is not None:
                version = dataset.newest()
                inputs[name] = dataset.record(version)["content"] if version else "missing"
            elif isinstance(other := self._catalog.get(name), Newest):
                content = other.content()  # without one, the record is as if it was not an input
                inputs.update({name: content} if content else {})
            elif isinstance(other, StoreHandle):
                imported = self._catalog.load(name).imported()
                inputs.update({name: imported} if imported else {})
        return reading(node.func, settings, inputs, self._identify)

    def match(self, node: Node, record: Record) -> str | None:
        """Return the newest version that all outputs have, complete and made by ``record``."""
        wanted = fingerprint(record)
        outputs = self._outputs(node)
        common = set.intersection(*(set(d.versions()) for d in outputs.values()))
        for version in sorted(common, reverse=True):
            made = [d.record(version) for d in outputs.values()]
            if all(m.get("fingerprint") == wanted and not m["unsettled"] for m in made):
                return version
        return None

    def why(self, node: Node, record: Record) -> str:
        """Return why the newest version of the node's outputs does not match."""
        for name, dataset in self._outputs(node).items():
            versions = dataset.versions()
            if not versions:
                return f"no {name} yet"
            made = dataset.record(versions[0])
            if "reading" not in made:
                return f"what made the newest {name} is unknown"
            if made.get("fingerprint") != fingerprint(record):
                return difference(made["reading"], record)
            if made["unsettled"]:
                return f"{made['unsettled']} rows of {name} failed and are tried again"
        return "its outputs are from different runs"

    def take(self, node: Node, version: str) -> str:
        """Pin the outputs to this version, making it the newest if it is not; return its name."""
        outputs = self._outputs(node).values()
        if all(dataset.versions()[0] == version for dataset in outputs):
            taken = version
        else:
            (taken,) = {dataset.renew(version) for dataset in outputs}
        for dataset in outputs:
            dataset.pin(taken)
        return taken

    def mark(self, node: Node, record: Record, why: str, run_id: str | None) -> None:
        """Have the outputs' next versions record what made them."""
        inputs = {n: d.newest() for n in node.inputs if (d := self._versioned(n)) is not None}
        for dataset in self._outputs(node).values():
            dataset.maker = {
                "step": node.name,
                "run": run_id,
                "because": why,
                "fingerprint": fingerprint(record),
                "reading": record,
                "input_versions": inputs,
            }

    def pin_saved(self, node: Node) -> None:
        """Pin the outputs to what this run saved, even if another run saves at the same time."""
        for dataset in self._outputs(node).values():
            dataset.pin(str(dataset.resolve_save_version()))

    def stale_before(self, pipeline: Pipeline) -> dict[str, str]:
        """Return the earlier nodes, not in this run, that would run again, and why.

        Nodes of which only the inputs changed are left out, as the causes are listed. So is
        everything behind a version that the user chose.
        """
        chosen = {n for n in pipeline.inputs() if self._is_pinned(n)}
        whole = register_pipelines()["__default__"]
        start = [n for n in pipeline.inputs() - chosen if n in whole.all_outputs()]
        if not start:
            return {}
        found = {}
        for node in whole.to_outputs(*start).nodes:
            if node in pipeline.nodes or not all(d.newest() for d in self._outputs(node).values()):
                continue
            try:
                record = self.reading(node)
            except PersynError:  # a model of a step that does not run may be unavailable
                continue
            if self.match(node, record) is None:
                why = self.why(node, record)
                if why.startswith("the order") or not why.endswith(" changed"):
                    found[node.name] = why
        return found

    def _is_pinned(self, name: str) -> bool:
        dataset = self._versioned(name)
        return dataset is not None and dataset.is_pinned

    def _outputs(self, node: Node) -> dict[str, AtomicVersionedDataset]:
        outputs = {name: self._versioned(name) for name in node.outputs}
        return {name: d for name, d in outputs.items() if d is not None}

    def _versioned(self, name: str) -> AtomicVersionedDataset | None:
        dataset = self._catalog.get(name)
        return dataset if isinstance(dataset, AtomicVersionedDataset) else None
