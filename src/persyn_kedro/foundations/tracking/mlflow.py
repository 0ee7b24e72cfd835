"""MLflow: a run in an experiment, with a nested run for each child."""

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from persyn_kedro.foundations.progress import Part
from persyn_kedro.foundations.secrets import login_of
from persyn_kedro.foundations.tracking.base import Ending, Measurement, Tracker, metric_name

# Defaults; what the user exported wins. MLflow's own wait minutes for a server that is gone.
VARIABLES = {
    "MLFLOW_DISABLE_TELEMETRY": "true",
    "MLFLOW_HTTP_REQUEST_MAX_RETRIES": "3",
    "MLFLOW_HTTP_REQUEST_TIMEOUT": "20",
}
AT_ONCE = {"params": 100, "metrics": 1000, "tags": 100}  # MLflow's limits for one call
STATUS: dict[Ending, str] = {"complete": "FINISHED", "failed": "FAILED", "interrupted": "KILLED"}


class MlflowTracker(Tracker[str]):
    """Handles are run ids. The client alone: the active run of MLflow's module is per thread."""

    def __init__(self, uri: str) -> None:
        self._uri = uri

    def begin(self, part: Part, name: str, parameters: Mapping[str, str]) -> str:
        if not part:
            self._connect()
        parent = {"mlflow.parentRunId": self.handle(())} if part else {}
        run = self._client.create_run(
            self._experiment, run_name=name, tags={**parent, "mlflow.source.name": "kedro run"}
        )
        from mlflow.entities import Param

        # A model's name, part of a key, may have characters that MLflow refuses.
        named = {metric_name(key): text for key, text in parameters.items()}
        self._log(run.info.run_id, params=[Param(*pair) for pair in named.items()])
        return run.info.run_id

    def _connect(self) -> None:
        for variable, value in VARIABLES.items():
            os.environ.setdefault(variable, value)
        # As MLflow has it: it prints the address, and names it in its errors.
        address, user, password = login_of(self._uri)
        if user is not None:
            os.environ["MLFLOW_TRACKING_USERNAME"] = unquote(user)
            os.environ["MLFLOW_TRACKING_PASSWORD"] = unquote(password or "")
        from mlflow import MlflowClient

        logging.getLogger("urllib3.connectionpool").setLevel(logging.ERROR)  # each retry
        self._client = MlflowClient(tracking_uri=address)
        found = self._client.get_experiment_by_name(self.run.project)
        self._experiment = (
            found.experiment_id if found else self._client.create_experiment(self.run.project)
        )

    def measure(self, measurements: Sequence[Measurement]) -> None:
        from mlflow.entities import Metric

        by_part: dict[Part, list[Metric]] = {}
        for one in measurements:
            by_part.setdefault(one.part, []).extend(
                Metric(name, value, int(one.time * 1000), one.step or 0)
                for name, value in one.values.items()
            )
        for part, metrics in by_part.items():
            self._log(self.handle(part), metrics=metrics)

    def describe(self, facts: Mapping[str, str]) -> None:
        from mlflow.entities import RunTag

        self._log(self.handle(()), tags=[RunTag(f"persyn.{n}", text) for n, text in facts.items()])

    def attach(self, file: Path) -> None:
        self._client.log_artifact(self.handle(()), str(file))

    def finish(self, ending: Ending) -> None:
        for run_id in self.handles():
            self._client.set_terminated(run_id, STATUS[ending])

    def _log(self, run_id: str, **entities: Sequence[Any]) -> None:
        for kind, found in entities.items():
            for some in _groups(found, AT_ONCE[kind]):
                batch: dict[str, Any] = {kind: some}
                self._client.log_batch(run_id, **batch)


def _groups(items: Sequence[Any], size: int) -> Iterator[list[Any]]:
    left = iter(items)
    while some := list(islice(left, size)):
        yield some
