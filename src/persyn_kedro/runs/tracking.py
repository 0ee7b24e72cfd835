"""A Kedro hook: what a run measures goes to the trackers of ``tracking.to``, while it runs.

A tracker never costs a run: what goes wrong here is one warning. Imports are inside the functions,
because every Kedro command imports this module.
"""

import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from operator import methodcaller
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any

from kedro.framework.hooks import hook_impl

if TYPE_CHECKING:
    from persyn_kedro.foundations.progress import Part
    from persyn_kedro.foundations.settings import Settings, TrackingSettings
    from persyn_kedro.foundations.tracking import Ending, Outbox

CURVES = ("training_curve", "preference_curve")  # how the outputs' names end that grow live

log = logging.getLogger(__name__)


class TrackingHooks:
    """Follows one run at a time."""

    _outbox: "Outbox | None" = None

    @hook_impl
    def before_pipeline_run(self, run_params: dict[str, Any], pipeline: Any, catalog: Any) -> None:
        from persyn_kedro.foundations import progress
        from persyn_kedro.runs.records import settings_in

        self._outbox = None
        progress.listen(None)
        settings = settings_in(catalog)
        self._settings: TrackingSettings = settings.tracking
        if not self._settings.to:
            return
        try:
            self._begin(run_params, pipeline, catalog, settings)
        except Exception as error:  # such as a catalog of the user's without tracking_files
            log.warning("This run is not tracked: %r", error)

    def _begin(
        self, run_params: dict[str, Any], pipeline: Any, catalog: Any, settings: "Settings"
    ) -> None:
        from persyn_kedro.foundations import progress
        from persyn_kedro.foundations.tracking import Outbox, TrackedRun, trackers_of
        from persyn_kedro.runs.measurements import parameters_of

        self._catalog, self._curve = catalog, ""
        self._taken: set[str] = set()  # data sets
        self._live: set[tuple[str, int | None, Part]] = set()  # metrics, steps and whose they are
        run_id = str(run_params.get("session_id") or run_params.get("run_id"))
        run = TrackedRun(
            self._settings.project,
            self._settings.name or " ".join([run_id, *(run_params.get("pipeline_names") or [])]),
            parameters_of(pipeline, settings),
            catalog.get("tracking_files").directory,
        )
        self._outbox = Outbox(trackers_of(self._settings), run)
        progress.listen(self._hear)

    @hook_impl
    def before_node_run(self, node: Any) -> None:
        self._curve = next((name for name in node.outputs if name.endswith(CURVES)), "")

    @hook_impl
    def after_dataset_saved(self, dataset_name: str) -> None:
        self._safely(self._take, dataset_name)

    @hook_impl
    def after_pipeline_run(self, pipeline: Any) -> None:
        self._safely(self._take_skipped, pipeline)
        self._safely(self._end, "complete")

    @hook_impl
    def on_pipeline_error(self, error: Exception) -> None:
        from persyn_kedro.foundations.errors import Interrupted, Waiting

        early = isinstance(error, Interrupted | Waiting)  # the same command goes on
        self._safely(self._end, "interrupted" if early else "failed")

    def _safely(self, work: Callable[..., None], *args: Any) -> None:
        """Do it if the run is tracked; after an error it is no longer."""
        from persyn_kedro.foundations import progress

        if self._outbox is None:
            return
        try:
            work(*args)
        except Exception as error:  # whatever a look at the data raises
            log.warning("Tracking stopped, the run goes on: %r", error)
            outbox, self._outbox = self._outbox, None
            progress.listen(None)
            if outbox is not None:
                outbox.close("failed")

    def _hear(self, part: "Part", step: int, values: Mapping[str, float]) -> None:
        """Take what a training tells while it trains."""
        from persyn_kedro.foundations.tracking import Measurement, metric_name

        curve = "training_curve" if part else self._curve
        if curve and self._outbox:  # else one of many fits, such as a comparison's routers
            named = {metric_name(curve, key): value for key, value in values.items()}
            self._live.update((name, step, part) for name in named)
            self._outbox.measure(Measurement(named, step, part))

    def _take(self, name: str) -> None:
        """Send what a data set measures, less what was told live."""
        from persyn_kedro.runs.measurements import measurements_of

        self._taken.add(name)
        for one in measurements_of(name, self._catalog.get(name)):
            new = {n: v for n, v in one.values.items() if (n, one.step, one.part) not in self._live}
            if new and self._outbox:
                self._outbox.measure(replace(one, values=new))

    def _take_skipped(self, pipeline: Any) -> None:
        for name in sorted(pipeline.all_outputs() - self._taken):
            if self._catalog.exists(name):
                self._take(name)

    def _end(self, ending: "Ending") -> None:
        """Tell what is only known now, and end the run."""
        from persyn_kedro.foundations import progress

        outbox, self._outbox = self._outbox, None
        progress.listen(None)
        if outbox is None:
            return
        with TemporaryDirectory() as scratch:
            try:
                self._tell_the_rest(outbox, Path(scratch))
            finally:  # on a full disk there may be no manifest
                outbox.close(ending)

    def _tell_the_rest(self, outbox: "Outbox", scratch: Path) -> None:
        """Attach the reports, and say where everything is."""
        from persyn_kedro.foundations.tracking import Measurement, metric_name
        from persyn_kedro.runs.measurements import fetched, file_of, links_of

        manifest = self._catalog.load("run_manifest")
        facts = links_of(manifest, file_of(self._catalog.get("run_manifest")))
        for node, seconds in manifest["seconds"].items():
            outbox.measure(Measurement({metric_name("seconds", node): seconds}))
        for name in ["run_manifest", *sorted(self._taken)]:
            file = file_of(self._catalog.get(name))
            if file is not None and file.stat().st_size <= self._settings.max_file_mb * 1e6:
                outbox.call(methodcaller("attach", fetched(file, scratch)))
        outbox.call(methodcaller("describe", facts))
