"""Kedro hooks: check a run before it starts, and print the report's table after it.

Imports are inside the functions, because every Kedro command imports this module.
"""

import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl

if TYPE_CHECKING:
    from persyn_kedro.foundations.settings import Settings
    from persyn_kedro.runs.template_checks import TemplateChecks

log = logging.getLogger(__name__)


class ProjectHooks:
    """The project's hooks, except those for the manifest and the lineage."""

    settings: "Settings"
    unused: str  # a sentence on settings that the engine does not read
    templates: "TemplateChecks"

    @hook_impl
    def after_context_created(self, context: Any) -> None:
        """Check all settings, including those of later steps, before any step is paid for."""
        from persyn_kedro.foundations.processes import use as use_cluster
        from persyn_kedro.foundations.secrets import hide_in_messages
        from persyn_kedro.foundations.settings import (
            read_settings,
            unused_keys,
            with_groups,
            with_new_names,
        )
        from persyn_kedro.pipeline_registry import use_rounds

        _log_in_our_way(context.project_path)
        hide_in_messages()
        loader = context.config_loader
        _export_keys(loader)
        raw = with_new_names(_merged(loader["parameters"], loader.runtime_params or {}))
        self.settings = read_settings(raw)
        self.unused = unused_keys(raw)
        loader["parameters"] = with_groups(raw)  # Kedro itself knows no defaults of whole groups
        use_cluster(self.settings.cluster)
        use_rounds(self.settings.rounds.count)

    @hook_impl(tryfirst=True)  # before another hook starts a child
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Any, catalog: Any) -> None:
        from persyn_kedro.foundations.settings import ANSWERS
        from persyn_kedro.runs.preflight import check_run
        from persyn_kedro.runs.preload import import_ahead_of
        from persyn_kedro.runs.records import models_of, needs_of
        from persyn_kedro.runs.template_checks import TemplateChecks

        import_ahead_of(pipeline, self.settings)  # before a check does
        check_run(run_params, pipeline, catalog, self.settings)
        self.templates = TemplateChecks(self.settings, set(models_of(pipeline, self.settings)))
        if self.unused and needs_of(pipeline.nodes, self.settings) & ANSWERS:
            log.info(self.unused)

    @hook_impl
    def before_node_run(self, node: Any, inputs: dict[str, Any]) -> dict[str, Any]:
        """Pass the node only the settings and texts that it is marked to read (``step``)."""
        from persyn_kedro.foundations.settings import Needs, hand, step_of
        from persyn_kedro.foundations.tables import texts_alone
        from persyn_kedro.runs.records import settings_of, texts_of

        groups = settings_of(node)
        settings = {argument: inputs[f"params:{group}"] for argument, group in groups.items()}
        if "seed" in settings:
            settings["seed"] = int(settings["seed"])  # 7.0 is 7, as in every other setting
        handed = hand(settings, step_of(node.func))
        texts = {name: texts_alone(inputs[name]) for name in texts_of(node, settings.values())}
        if Needs.TEACHERS in step_of(node.func).needs:
            self.templates.check(inputs)
        return {f"params:{groups[argument]}": value for argument, value in handed.items()} | texts

    @hook_impl
    def after_pipeline_run(self, pipeline: Any, catalog: Any) -> None:
        from persyn_kedro.domain.reporting import pool_change_text
        from persyn_kedro.foundations.settings import step_of

        for node in pipeline.nodes:
            made = {name.rpartition(".")[2]: name for name in node.outputs}  # of a round
            for text, outputs in step_of(node.func).prints.items():
                print(text(*(catalog.load(made[name]) for name in outputs)))
        change = catalog.load("run_manifest").get("pool_change")  # ManifestHooks has saved it
        if change:
            print(pool_change_text(change))


def _log_in_our_way(project: Path) -> None:
    """Log as the package where a project does not say how: Kedro would read [/INST] as a tag."""
    import yaml
    from kedro.framework.project import LOGGING

    from persyn_kedro.runs.shared import shared_file

    if "KEDRO_LOGGING_CONFIG" not in os.environ and not (project / "conf/logging.yml").is_file():
        LOGGING.configure(yaml.safe_load(shared_file("conf/logging.yml").read_text()))


def _export_keys(loader: Any) -> None:
    """Set the ``endpoints`` of credentials.yml ({variable: key}) as environment variables.

    Raises:
        PersynError: they are no mapping.
    """
    from kedro.config import MissingConfigException

    from persyn_kedro.foundations.errors import PersynError

    try:
        keys = loader["credentials"].get("endpoints") or {}
    except MissingConfigException:
        return
    if not isinstance(keys, Mapping):  # not shown: it may be a key
        raise PersynError("credentials.yml: endpoints must be a mapping, such as {MY_KEY: …}.")
    for variable, key in keys.items():
        if key is not None:  # left blank: as if it was not there
            os.environ.setdefault(str(variable), str(key))


def _merged(base: Any, changes: Any) -> Any:
    """Return ``base`` with the nested ``changes`` of ``--params``, as Kedro applies them."""
    if not isinstance(base, dict) or not isinstance(changes, dict):
        return changes
    return {**base, **{key: _merged(base.get(key), value) for key, value in changes.items()}}
