"""Ray's own handler of SIGTERM does not replace a run's, which saves answers and ends trackers."""

import signal
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from persyn_kedro.foundations.processes.ray import cluster

ray = pytest.importorskip("ray")


@pytest.fixture(autouse=True)
def handler() -> Iterator[None]:
    before = signal.getsignal(signal.SIGTERM)
    yield
    signal.signal(signal.SIGTERM, before)


def rays(*_: Any) -> None:
    """Stand in for Ray's handler."""


@pytest.mark.parametrize("own", [lambda *_: None, signal.SIG_DFL])
def test_a_cluster_of_this_machine_leaves_the_handler(
    own: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def init(**_: Any) -> Any:
        signal.signal(signal.SIGTERM, rays)
        return SimpleNamespace(address_info={"gcs_address": "127.0.0.1:1"})

    monkeypatch.setattr(ray, "init", init)
    monkeypatch.setattr(cluster, "_started", None)
    monkeypatch.setattr(cluster.atexit, "register", lambda *_: None)
    signal.signal(signal.SIGTERM, own)
    assert cluster._start() == "127.0.0.1:1"
    # Without one, Ray's is better than none: it ends the cluster.
    assert signal.getsignal(signal.SIGTERM) is (own if callable(own) else rays)
