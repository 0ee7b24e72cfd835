"""trackio: a run in a project of its local store; child runs are in the run's group."""

import contextvars
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from persyn_kedro.foundations.progress import Part
from persyn_kedro.foundations.tracking.base import Ending, Measurement, Tracker, as_markdown


class TrackioTracker(Tracker[Any]):
    """Writes to `data`, or where the user's TRACKIO_DIR or TRACKIO_SERVER_URL say."""

    def begin(self, part: Part, name: str, parameters: Mapping[str, str]) -> Any:
        os.environ.setdefault("TRACKIO_DIR", str(self.run.directory.absolute() / "trackio"))
        os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
        os.environ.setdefault("GRADIO_ANALYTICS_ENABLED", "False")
        import trackio

        return contextvars.Context().run(  # in ours, init ends the run that it knows
            trackio.init,
            self.run.project,
            name=name,
            group=self.run.name,
            config=dict(parameters),
            embed=False,
            auto_log_cpu=False,
            auto_log_gpu=False,
        )

    def measure(self, measurements: Sequence[Measurement]) -> None:
        for one in measurements:
            self.handle(one.part).log(dict(one.values), step=one.step or 0)

    def describe(self, facts: Mapping[str, str]) -> None:
        import trackio

        self.handle(()).log({"versions": trackio.Markdown(as_markdown(facts))}, step=0)

    def attach(self, file: Path) -> None:
        self.handle(()).log_artifact(file, type="persyn")

    def finish(self, ending: Ending) -> None:
        for run in self.handles():
            run.finish()
