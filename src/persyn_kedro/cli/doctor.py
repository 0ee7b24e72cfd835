"""``persyn doctor``: what is here, and what these settings still need."""

import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from persyn_kedro.cli.errors import one_sentence
from persyn_kedro.cli.group import ENV, cli, open_project
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.extras import EXTRAS, INSTALL_VLLM, install, is_installed, missing

if TYPE_CHECKING:
    from persyn_kedro.foundations.settings import Settings

_PACKAGES = ("persyn-kedro", "kedro", "transformers", "trl", "peft")


@cli.command("doctor")
@ENV
def doctor(env: str | None) -> None:
    """Say what this machine has, and what is missing for these settings; exit 1 if something is."""
    for line in [*_software(), *_machine()]:
        click.echo(line)
    click.echo()
    if not Path("conf").is_dir():
        click.echo("No project here: `persyn new my-run` makes one.")
        return
    with one_sentence():
        found = Findings()
        _examine(env, found)
    if found.keys:
        click.echo(f"Keys that are set: {', '.join(found.keys)}")
    for name in found.to_fetch:
        click.echo(f"To fetch: model {name!r}, by `persyn fetch-models` or the first run.")
    for sentence in found.missing:
        click.echo(f"Missing: {sentence}")
    if found.missing:
        raise click.exceptions.Exit(1)
    click.echo("These settings have all that they need.")


@dataclass
class Findings:
    """What these settings need, here or not.

    Attributes:
        keys: the variables of servers' keys and headers that are set; never what they hold.
        missing: a sentence for each thing that would stop a run.
        to_fetch: names of models that a run would fetch first.
    """

    keys: dict[str, None] = field(default_factory=dict)  # in order, each once
    missing: dict[str, None] = field(default_factory=dict)  # likewise
    to_fetch: list[str] = field(default_factory=list)

    @contextmanager
    def noting(self) -> Iterator[None]:
        """Note a check's sentence instead of stopping."""
        try:
            yield
        except PersynError as error:
            self.missing[str(error)] = None


def _examine(env: str | None, found: Findings) -> None:
    """Note what the settings need and what would stop a run before its first step."""
    from persyn_kedro.foundations.processes import check_cluster
    from persyn_kedro.foundations.tracking import check_tracking
    from persyn_kedro.pipeline_registry import register_pipelines
    from persyn_kedro.runs.extras import check_extras
    from persyn_kedro.runs.machines import check_machines
    from persyn_kedro.runs.pool_checks import check_pool

    settings = None
    with found.noting():
        settings, _ = open_project(env)
    if settings is None:
        return
    main = register_pipelines()["__default__"]
    with found.noting():
        _check_engine(settings)
    with found.noting():
        check_extras(main, settings)
    with found.noting():
        check_tracking(settings.tracking)
    with found.noting():
        check_cluster(settings.cluster, settings.engine)
    _find_models(main, settings, found)
    with found.noting():
        check_pool(settings)
    with found.noting():
        check_machines(main.nodes, settings)


def _find_models(pipeline: Any, settings: "Settings", found: Findings) -> None:
    """Note the keys of each model that the run uses, and what is missing of it."""
    from persyn_kedro.foundations.models import check_source, find_model
    from persyn_kedro.runs.records import models_of

    for name, model in models_of(pipeline, settings).items():
        variables = model.endpoint.variables if model.endpoint else []
        found.keys.update({key: None for key in variables if os.environ.get(key, "").strip()})
        with found.noting():
            check_source(name, model, True)
            if find_model(name, model) is None and model.random is None:
                found.to_fetch.append(name)


def _check_engine(settings: "Settings") -> None:
    """Refuse vLLM if it is not here; the nodes of a cluster have one of their own."""
    engine = settings.engine
    elsewhere = engine.name == "ray" and settings.cluster.address != "local"
    if engine.runs == "vllm" and not elsewhere and not is_installed("vllm"):
        raise PersynError(f"Engine vllm is not installed: run {INSTALL_VLLM}.")


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _software() -> Iterator[str]:
    """Yield lines for Python, PyTorch, the packages and the extras; only torch is imported."""
    import torch

    yield f"Python {sys.version.split()[0]}, torch {torch.__version__}"
    yield ", ".join(f"{name} {_version(name) or 'missing'}" for name in _PACKAGES)
    absent = [extra for extra in EXTRAS if missing(extra)]
    yield f"Extras: {', '.join(extra for extra in EXTRAS if extra not in absent) or 'none'}"
    if absent:
        yield f"Not installed: {', '.join(absent)} ({install(*absent)})"


def _machine() -> Iterator[str]:
    import torch

    for place in range(torch.cuda.device_count()):
        card = torch.cuda.get_device_properties(place)
        yield f"GPU {place}: {card.name}, {card.total_memory / 2**30:.0f} GiB"
    if not torch.cuda.is_available():
        yield f"No GPU that torch can use (its build: {torch.version.cuda or 'CPU only'})"
    from persyn_kedro.foundations.processes import free_bytes
    from persyn_kedro.foundations.storage import cache_directory

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    # Only Linux says which cores this process may use, and what is free.
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    free = f" ({found / 2**30:.0f} GiB free)" if (found := free_bytes()) else ""
    yield f"{cores} cores, {memory:.0f} GiB of memory{free}"

    for use, path in {"here": Path.cwd(), "for models": cache_directory()}.items():
        there = next(p for p in [path, *path.parents] if p.is_dir())
        yield f"{shutil.disk_usage(there).free / 2**30:.0f} GiB of disk {use} ({path})"
    from persyn_kedro.domain.quality import bubblewrap_fault

    fault = bubblewrap_fault()
    works = f"does not work ({fault})" if fault else "works"
    yield f"Sandbox for answers' code: bubblewrap {works}"
