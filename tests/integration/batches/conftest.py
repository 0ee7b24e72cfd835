"""A server of batch jobs, and both kinds of service."""

from collections.abc import Iterator

import pytest

from persyn_kedro.domain.engines.batch import under_way
from tests.support.batch_server import Service, serve_batches


@pytest.fixture(autouse=True)
def _soon(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(under_way, "SETTLE_SECONDS", 0.05)


@pytest.fixture
def service() -> Iterator[Service]:
    with serve_batches() as running:
        yield running


@pytest.fixture(params=["openai", "anthropic"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)
