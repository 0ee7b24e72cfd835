"""Anthropic's Message Batches API: one request makes a job, and its results are JSON lines."""

import json
from collections.abc import Iterator, Mapping
from contextlib import closing
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any

from persyn_kedro.domain.engines.base import Request
from persyn_kedro.domain.engines.batch.service import (
    CLOCKS,
    MEGABYTE,
    UPLOAD_SECONDS,
    Found,
    Service,
    ServiceError,
)
from persyn_kedro.domain.engines.replies.completions import Answer
from persyn_kedro.domain.engines.replies.messages import as_completion
from persyn_kedro.domain.engines.replies.refusals import Refusal

if TYPE_CHECKING:
    from anthropic import Anthropic
    from anthropic.types.messages import MessageBatch

    from persyn_kedro.domain.stores.jobs import Job

NO_TOOLS = "set aside: Anthropic's messages have no role tool"


class AnthropicBatches(Service):
    """Jobs have no metadata: one is recognised by its time, its size, and its results' ids."""

    name, most_requests, most_bytes = "anthropic", 100_000, 256 * MEGABYTE - 1024

    @cached_property
    def _client(self) -> "Anthropic":
        from anthropic import Anthropic

        return Anthropic(base_url=self.endpoint.url.rstrip("/").removesuffix("/v1"), **self.options)

    def body(self, request: Request) -> dict[str, Any]:
        """Return a request of a job."""
        messages, extra = request.messages, dict(self.endpoint.extra_body)
        if any(message["role"] == "tool" for message in messages):
            raise ValueError(NO_TOOLS)
        sampling, stop = request.sampling, extra.pop("stop", None)
        told = {
            "system": "".join(m["content"] for m in messages if m["role"] == "system") or None,
            "temperature": sampling.temperature,
            "top_p": None if sampling.top_p == 1 else sampling.top_p,
            "top_k": sampling.top_k or None,
            "stop_sequences": [stop] if isinstance(stop, str) else stop,
        }
        params = {
            "model": self.endpoint.model,
            "max_tokens": sampling.max_new_tokens,
            "messages": [message for message in messages if message["role"] != "system"],
            **{name: value for name, value in told.items() if value is not None},
            **extra,
        }
        return {"custom_id": request.key, "params": params}

    def send(self, job: "Job", lines: IO[bytes], again: bool) -> str:
        """Make the job, in one request."""
        with self.speaking():
            client = self._client.with_options(max_retries=0, timeout=UPLOAD_SECONDS)
            return client.messages.batches.create(requests=list(map(json.loads, lines))).id

    def find(self, job: "Job", known: set[str]) -> Found:
        """Compare the jobs made since ours was begun: by size, and if they have ended, by ids."""
        unsure = []
        with self.speaking():
            for batch in self._client.messages.batches.list(limit=100):
                if batch.created_at < job.made - CLOCKS:
                    break
                if batch.id in known or _size(batch) != len(job.keys):
                    continue
                if batch.processing_status != "ended":
                    unsure.append(batch.id)
                elif self._is(batch, job):
                    return Found(batch.id)
        return Found(unsure=tuple(unsure))

    def _is(self, batch: "MessageBatch", job: "Job") -> bool:
        if batch.results_url is None or batch.archived_at is not None:
            raise ServiceError(
                f"Batch {batch.id} may be what a killed run sent to {self.model.name!r}, but its "
                "results are no longer there to tell",
                f"if it is another one, delete batches/{job.name} in the response store",
                refused=True,
            )
        with closing(self._client.messages.batches.results(batch.id)) as results:
            return next(result.custom_id for result in results) in set(job.keys)

    def has_ended(self, service_id: str) -> bool:
        """Return whether no request is being processed any more."""
        with self.speaking():
            return self._client.messages.batches.retrieve(service_id).processing_status == "ended"

    def results(
        self, job: "Job", asked: Mapping[str, int]
    ) -> Iterator[tuple[str, Answer | Refusal]]:
        """Yield what the job's results say."""
        with self.speaking():
            for line in self._client.messages.batches.results(str(job.sent)):
                if line.custom_id in asked:
                    result = line.result.to_dict(mode="json")
                    yield line.custom_id, self._reply(result, asked[line.custom_id])

    def _reply(self, result: Mapping[str, Any], most: int) -> Answer | Refusal:
        kind = result["type"]
        if kind == "succeeded":
            return self.read(200, as_completion(result["message"]), most)
        if kind == "errored":
            return self.read(200, result["error"], most)
        return Refusal(f"{kind}: the batch ended before this request was answered")


def _size(batch: "MessageBatch") -> int:
    counts = batch.request_counts
    return counts.processing + counts.succeeded + counts.errored + counts.canceled + counts.expired
