"""OpenAI's batch API: a file of requests is uploaded, and a job made over it."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime
from functools import cached_property
from typing import IO, TYPE_CHECKING, Any, Final

from persyn_kedro.domain.engines.arguments import body_of
from persyn_kedro.domain.engines.base import Request
from persyn_kedro.domain.engines.batch.service import (
    CLOCKS,
    MEGABYTE,
    UPLOAD_SECONDS,
    Found,
    Service,
)
from persyn_kedro.domain.engines.replies.completions import Answer
from persyn_kedro.domain.engines.replies.refusals import Refusal

if TYPE_CHECKING:
    from openai import OpenAI

    from persyn_kedro.domain.stores.jobs import Job

PATH: Final = "/v1/chat/completions"
OUR_ID = "persyn_job"  # in a job's metadata
ENDED = ("completed", "failed", "expired", "cancelled")


class OpenAIBatches(Service):
    """A job is recognised by our id in its metadata, its file by its name."""

    name, most_requests, most_bytes = "openai", 50_000, 200 * MEGABYTE

    @cached_property
    def _client(self) -> "OpenAI":
        from openai import OpenAI

        return OpenAI(base_url=self.endpoint.url, **self.options)

    def body(self, request: Request) -> dict[str, Any]:
        """Return a line of a job's file."""
        what = body_of(request, self.model.settings)
        return {"custom_id": request.key, "method": "POST", "url": PATH, "body": what}

    def send(self, job: "Job", lines: IO[bytes], again: bool) -> str:
        """Upload the file, unless the service has it already, and make the job."""
        with self.speaking():
            client = self._client.with_options(max_retries=0, timeout=UPLOAD_SECONDS)
            file_id = self._uploaded(job) if again else None
            if file_id is None:
                named = (_file_name(job), lines)
                file_id = client.files.create(file=named, purpose="batch").id
            made = client.batches.create(
                input_file_id=file_id,
                endpoint=PATH,
                completion_window="24h",
                metadata={OUR_ID: job.name},
            )
            return made.id

    def _uploaded(self, job: "Job") -> str | None:
        files = self._client.files.list(purpose="batch", order="desc")
        return next((file.id for file in files if file.filename == _file_name(job)), None)

    def find(self, job: "Job", known: set[str]) -> Found:
        """Return the job with our id; they are listed newest first."""
        with self.speaking():
            for batch in self._client.batches.list(limit=100):
                if (batch.metadata or {}).get(OUR_ID) == job.name:
                    return Found(batch.id)
                if datetime.fromtimestamp(batch.created_at, UTC) < job.made - CLOCKS:
                    break
        return Found()

    def has_ended(self, service_id: str) -> bool:
        """Return whether the job was completed, failed, expired or cancelled."""
        with self.speaking():
            return self._client.batches.retrieve(service_id).status in ENDED

    def results(
        self, job: "Job", asked: Mapping[str, int]
    ) -> Iterator[tuple[str, Answer | Refusal]]:
        """Yield what the output file and the error file say, if there are any."""
        with self.speaking():
            batch = self._client.batches.retrieve(str(job.sent))
            for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):
                with self._client.files.with_streaming_response.content(file_id) as reply:
                    for line in _lines(reply.iter_bytes()):
                        result = json.loads(line)
                        if result["custom_id"] in asked:
                            key = result["custom_id"]
                            yield key, self._reply(result, asked[key])
            if batch.status == "failed":  # as a whole: no request was looked at
                errors = (batch.errors and batch.errors.data) or []
                first = errors[0].to_dict() if errors else {"message": "no reason given"}
                refusal = self.read(400, {"error": first}, 0)
                yield from ((key, refusal) for key in job.keys if key in asked)

    def _reply(self, result: Mapping[str, Any], most: int) -> Answer | Refusal:
        response, error = result.get("response"), result.get("error")
        if response:
            return self.read(response["status_code"], response["body"], most)
        error = error or {}
        return Refusal(f"{error.get('code') or 'no answer'}: {error.get('message') or ''}")


def _file_name(job: "Job") -> str:
    return f"persyn-{job.name}.jsonl"


def _lines(chunks: Iterable[bytes]) -> Iterator[bytes]:
    """Yield non-empty lines; only a line feed ends one (httpx would split at U+2028 too)."""
    rest = b""
    for chunk in chunks:
        *lines, rest = (rest + chunk).split(b"\n")
        yield from filter(None, lines)
    if rest:
        yield rest
