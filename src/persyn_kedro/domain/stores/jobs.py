"""Batch jobs that were sent to a service, kept so that none is sent twice and none is lost."""

import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from persyn_kedro.domain.stores.parts import write_atomically
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.storage.paths import Place, one_sentence_of, place

INTENT, SENT, ENDED = "intent.json", "sent.json", "ended.json"


@dataclass(frozen=True)
class Job:
    """A batch job. ``name`` is ours, ``sent`` the service's id for it, or None if not known.

    Attributes:
        made: when the intent to send it was recorded.
        keys: the response keys of its requests, which are their ids at the service too.
    """

    name: str
    made: datetime
    keys: tuple[str, ...]
    sent: str | None = None


class JobStore:
    """A directory per job under ``root``, with up to three files, none of which ever changes.

    ``intent.json`` is written before anything is sent, ``sent.json`` as soon as the service has
    given the job an id, and ``ended.json`` once all answers are in the response store, or once it
    is certain that the service has no such job.
    """

    def __init__(self, root: Place) -> None:
        self.root = place(root)

    def intend(self, service: str, model: str, keys: list[str]) -> Job:
        """Record that these requests are about to be sent to a model (its ``weights_id``)."""
        job = Job(uuid.uuid4().hex, datetime.now(UTC), tuple(keys))
        what = {"service": service, "model": model, "made": job.made.isoformat(), "keys": keys}
        self._write(job.name, INTENT, what)
        return job

    def sent(self, job: Job, service_id: str) -> Job:
        """Record the service's id for a job."""
        self._write(job.name, SENT, {"id": service_id})
        return replace(job, sent=service_id)

    def end(self, job: Job, how: str) -> None:
        """Record that nothing of a job is under way any more."""
        self._write(job.name, ENDED, {"how": how})

    def open(self, service: str, model: str) -> list[Job]:
        """Return a model's jobs that have not ended, the oldest first."""
        jobs = []
        for directory in self._directories():
            if self._read(directory / ENDED) is not None:
                continue
            intent = self._read(directory / INTENT)
            if intent is not None and (intent["service"], intent["model"]) == (service, model):
                sent = self._read(directory / SENT) or {"id": None}
                made = datetime.fromisoformat(intent["made"])
                jobs.append(Job(directory.name, made, tuple(intent["keys"]), sent["id"]))
        return sorted(jobs, key=lambda job: (job.made, job.name))

    def known_ids(self) -> set[str]:
        """Return the services' ids for all jobs ever recorded here."""
        found = (self._read(directory / SENT) for directory in self._directories())
        return {sent["id"] for sent in found if sent is not None}

    def _directories(self) -> list[Place]:
        with one_sentence_of(self.root):
            found: list[Place] = list(self.root.glob("*")) if self.root.is_dir() else []
        return found

    def _write(self, name: str, file: str, what: Mapping[str, Any]) -> None:
        text = json.dumps(what, ensure_ascii=False)
        path = self.root / name / file
        write_atomically(path, lambda opened: opened.write(text.encode("utf-8")))

    @staticmethod
    def _read(path: Place) -> dict[str, Any] | None:
        """Return what a file says, None if there is none."""
        try:
            with one_sentence_of(path):
                return json.loads(path.read_text(encoding="utf-8")) if path.is_file() else None
        except ValueError as error:
            raise PersynError(
                f"{path} is damaged ({error}), so what is under way at the batch service is not "
                f"known: restore it, or delete {path.parent} to send its requests again."
            ) from error
