"""W&B: a run in a project, offline unless asked otherwise; child runs are in the run's group."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from persyn_kedro.foundations.progress import Part
from persyn_kedro.foundations.settings.tracking import WandbSettings
from persyn_kedro.foundations.tracking.base import Ending, Measurement, Tracker

# As of the run's own process: W&B calls any but 0 a failure.
EXIT_CODE: dict[Ending, int] = {"complete": 0, "failed": 1, "interrupted": 130}


class WandbTracker(Tracker[Any]):
    """Curves have their own step: W&B's must only grow, and several trainings are in one run."""

    def __init__(self, settings: WandbSettings) -> None:
        self._settings = settings
        self._defined: set[tuple[Part, str]] = set()

    def begin(self, part: Part, name: str, parameters: Mapping[str, str]) -> Any:
        os.environ.setdefault("WANDB_ERROR_REPORTING", "false")
        import wandb

        where = self.run.directory / "wandb"
        where.mkdir(parents=True, exist_ok=True)
        return wandb.init(
            project=self.run.project,
            entity=self._settings.entity,
            name=name,
            group=self.run.name,
            config=dict(parameters),
            dir=where,
            mode=os.environ.get("WANDB_MODE") or self._settings.mode,
            reinit="create_new",
            settings=wandb.Settings(
                silent=True, console="off", disable_git=True, disable_code=True, init_timeout=30
            ),
        )

    def measure(self, measurements: Sequence[Measurement]) -> None:
        for one in measurements:
            run = self.handle(one.part)
            if one.step is None:
                run.summary.update(dict(one.values))
                continue
            steps = {f"{name.rpartition('/')[0]}/step": one.step for name in one.values}
            for name in steps:
                if (one.part, name) not in self._defined:
                    self._defined.add((one.part, name))
                    run.define_metric(f"{name.removesuffix('step')}*", step_metric=name)
            run.log({**one.values, **steps})

    def describe(self, facts: Mapping[str, str]) -> None:
        self.handle(()).config.update(dict(facts))

    def attach(self, file: Path) -> None:
        import wandb

        kept = wandb.Artifact(f"{self.run.name}-{file.name}".replace(":", "_"), type="persyn")
        kept.add_file(str(file))
        self.handle(()).log_artifact(kept)

    def finish(self, ending: Ending) -> None:
        for run in self.handles():
            run.finish(exit_code=EXIT_CODE[ending])
