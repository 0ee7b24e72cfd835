"""A Ray cluster of two nodes on this machine, the second of which can be killed."""

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from persyn_kedro.foundations.settings.cluster import ClusterSettings

ROOT = Path(__file__).parents[2]
STORE = 100 * 2**20  # bytes of a node's object store
WAIT = 120.0
PAUSE = 0.3  # seconds a block, so that a node dies in the middle


class Nodes:
    """A head and a second node, each with one core for actors."""

    def __init__(self, cluster: Any) -> None:
        self._cluster = cluster
        self.second = self._add()

    @property
    def settings(self) -> ClusterSettings:
        """Two actors at most, so one on each node; workers find the tests' own modules."""
        path = os.pathsep.join([str(ROOT), str(ROOT / "src")])
        variables = {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"}
        return ClusterSettings(
            address=self._cluster.address, actors=2, runtime_env={"env_vars": variables}
        )

    def kill_second_once_it_works(self, marks: Path, wait: float = WAIT) -> None:
        """Kill the second node as it has left its mark (``leave_mark``)."""
        deadline = time.monotonic() + wait
        while not (marks / self.second.node_id).exists():
            assert time.monotonic() < deadline, f"only {os.listdir(marks)} worked"
            time.sleep(0.05)
        self._cluster.remove_node(self.second, allow_graceful=False)

    def start_another(self) -> None:
        self.second = self._add()

    def _add(self) -> Any:
        return self._cluster.add_node(num_cpus=1, object_store_memory=STORE)


@contextmanager
def two_nodes() -> Iterator[Nodes]:
    """Start the cluster; all its processes end with the block."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_worker_niceness", "0")  # else they yield to all other tests
    from ray.cluster_utils import Cluster

    soon = {"health_check_period_ms": 300, "health_check_failure_threshold": 3}  # a death is seen
    head = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": STORE,
            "_system_config": soon}  # fmt: skip
    cluster = Cluster(initialize_head=True, head_node_args=head)
    try:
        yield Nodes(cluster)
    finally:
        cluster.shutdown()


def leave_mark(marks: Path) -> None:
    """Say, from a worker, that its node is at work."""
    import ray

    (marks / ray.get_runtime_context().get_node_id()).touch()


def slowly(marks: Path, make: Callable[..., Any], *args: Any) -> Callable[[Sequence[Any]], Any]:
    """Return what ``make(*args)`` does, but slow, and with a mark of the node that is at it.

    No block is done before two nodes are at work: on a busy machine one might do them all.
    """
    work = make(*args)

    def slow(block: Sequence[Any]) -> Iterator[Any]:
        leave_mark(marks)
        deadline = time.monotonic() + WAIT
        while len(os.listdir(marks)) < 2 and time.monotonic() < deadline:
            time.sleep(0.05)
        time.sleep(PAUSE)
        yield from work(block)

    return slow
