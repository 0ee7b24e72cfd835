"""The project's steps by their names, inputs and outputs, each node's work done in no time.

What a node makes is a text that tells its inputs and the seed apart, so whatever the registry has,
a new step too, can be run by the project's own runner and its records looked at.
"""

import warnings
from collections.abc import Callable
from inspect import Parameter, Signature
from pathlib import Path

import pytest
from kedro.io import DataCatalog, MemoryDataset
from kedro.io.core import Version
from kedro.pipeline import Pipeline, node
from kedro.pipeline.node import Node

from persyn_kedro.datasets.documents import JsonDocument
from persyn_kedro.foundations.hashing import text_id
from persyn_kedro.foundations.settings.marks import Step, step_of
from persyn_kedro.pipeline_registry import MAKERS
from persyn_kedro.runs.records import texts_of
from persyn_kedro.runs.runner import ResumingRunner
from tests.support.settings import SHORTEST

REAL = Pipeline([node for make in MAKERS.values() for node in make().nodes])
TABLES = sorted(REAL.all_outputs())


class _NoHooks:
    hook = type("Hook", (), {"__getattr__": lambda *_: lambda **__: []})()


def _fake(real: Node, alike: Callable[[str], bool]) -> Node:
    def work(seed: int, *tables: str) -> list[str]:
        text = text_id("|".join(tables))
        return [f"{name} of {seed} and {'' if alike(name) else text}" for name in real.outputs]

    inputs = [name for name in real.inputs if name in TABLES]
    work.__signature__ = Signature(  # type: ignore[attr-defined]
        [
            Parameter(name.replace(".", "_"), Parameter.POSITIONAL_OR_KEYWORD)
            for name in ["seed", *inputs]
        ]
    )
    # As with the defaults, of which no question says yes: what only others read is in no record.
    questions = step_of(real.func).only_if.items()
    only_if = {asks: tuple(n for n in names if n != "seed") for asks, names in questions}
    work.step = Step(texts=tuple(texts_of(real)), only_if=only_if)  # type: ignore[attr-defined]
    with warnings.catch_warnings():  # Kedro warns of names with a dot, as those of rounds are
        warnings.simplefilter("ignore", UserWarning)
        return node(work, ["params:seed", *inputs], real.outputs, name=real.name)


def steps(alike: Callable[[str], bool] = lambda name: False) -> Pipeline:
    """Return all nodes of all steps.

    Args:
        alike: of a data set, whether it is the same whatever its inputs are.
    """
    return Pipeline([_fake(real, alike) for real in REAL.nodes])


def catalog(directory: Path, version: str, seed: int = 7) -> DataCatalog:
    """Return a catalog that saves as ``version`` and loads the newest versions."""
    return DataCatalog(
        {
            **{name: _document(directory, name, version) for name in TABLES},
            **{f"params:{k}": MemoryDataset(v) for k, v in {**SHORTEST, "seed": seed}.items()},
        }
    )


def with_versions(data: DataCatalog, **chosen: str) -> DataCatalog:
    """Return a catalog of the same data that loads the ``chosen`` versions."""
    if not chosen:
        return data
    others = {name: data[name] for name in data.keys() - chosen.keys()}
    pinned = {
        name: _document(data[name].root.parent, name, data[name].resolve_save_version(), version)
        for name, version in chosen.items()
    }
    return DataCatalog({**others, **pinned})


def _document(directory: Path, name: str, save: str, load: str | None = None) -> JsonDocument:
    return JsonDocument(filepath=str(directory / name), version=Version(load, save))


def run(pipeline: Pipeline, directory: Path, version: str, seed: int = 7) -> None:
    """Run as ``kedro run`` does, skipping what is there, without what hooks check."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ResumingRunner, "_warn_of_older_inputs", lambda *_: None)
        data = catalog(directory, version, seed)
        ResumingRunner()._run(pipeline, data, _NoHooks(), version)
