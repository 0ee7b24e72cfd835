"""The project's runner: it skips nodes that are up to date, and logs why it runs the others."""

from collections import Counter
from itertools import chain
from typing import Any

from kedro.pipeline import Pipeline
from kedro.runner import SequentialRunner
from kedro.runner.task import Task

from persyn_kedro.foundations import progress
from persyn_kedro.foundations.errors import Interrupted
from persyn_kedro.foundations.settings import step_of
from persyn_kedro.foundations.tables import give_back
from persyn_kedro.runs.ancestry import Ancestry
from persyn_kedro.runs.belonging import check_node
from persyn_kedro.runs.keeping import models_kept
from persyn_kedro.runs.machines import check_machines, needs_check
from persyn_kedro.runs.records import StepRecords


class ResumingRunner(SequentialRunner):
    """Runs the nodes in order, each only if no complete version of its outputs matches.

    A version matches if its node read the same settings, models and contents of inputs, in the same
    step version (``runs.fingerprints``), and no row of it would be tried again. The newest match is
    loaded; an older one is made the newest, so that "newest" is what the last run used. A node gets
    only inputs that belong together (``ancestry``); anything else is an error.

    Args:
        redo: skip nothing (the stores still return what they have).
    """

    def __init__(self, is_async: bool = False, redo: bool = False) -> None:
        super().__init__(is_async=is_async)
        self._redo = redo

    def __str__(self) -> str:
        # Kedro-Viz shows a run's progress only for runners that it knows by this text.
        return "ResumingRunner, a kedro.runner.sequential_runner.SequentialRunner object"

    def _run(
        self,
        pipeline: Pipeline,
        catalog: Any,
        hook_manager: Any = None,
        run_id: str | None = None,
    ) -> None:
        try:
            self._run_nodes(pipeline, catalog, hook_manager, run_id)
        except KeyboardInterrupt as error:  # not an Exception: no hook would be told
            raise Interrupted("interrupted") from error

    def _run_nodes(
        self, pipeline: Pipeline, catalog: Any, hook_manager: Any, run_id: str | None
    ) -> None:
        records = StepRecords(catalog)
        if needs_check(records.settings):
            check_machines(records.to_do(pipeline, self._redo), records.settings)
        self._warn_of_older_inputs(pipeline, records)
        loads = Counter(chain.from_iterable(node.inputs for node in pipeline.nodes))
        ancestry = Ancestry(catalog)
        with models_kept(pipeline.nodes, records.settings) as begin:
            for node in pipeline.nodes:
                check_node(node, ancestry, records.settings)
                record = records.reading(node)
                again = self._redo or step_of(node.func).always
                found = None if again else records.match(node, record)
                if found is not None:
                    version = records.take(node, found)
                    self._logger.info(
                        "Skipped %s: nothing changed since version %s", node.name, version
                    )
                else:
                    begin(node)
                    why = "requested" if again else records.why(node, record)
                    self._logger.info("Running %s: %s", node.name, why)
                    records.mark(node, record, why, run_id)
                    with progress.step(node.name):
                        Task(node, catalog, self._is_async, hook_manager, run_id).execute()
                    records.pin_saved(node)
                ancestry.forget(node.outputs)
                self._release_datasets(node, catalog, loads, pipeline)
                give_back()

    def _warn_of_older_inputs(self, pipeline: Pipeline, records: StepRecords) -> None:
        """Log which earlier steps, not part of this run, the settings would run again."""
        stale = records.stale_before(pipeline)
        if stale:
            causes = "; ".join(f"{name} ({why})" for name, why in stale.items())
            self._logger.warning(
                "The inputs are out of date with the settings: %s. This run uses them as they are; "
                "`kedro run` re-runs these steps.",
                causes,
            )
