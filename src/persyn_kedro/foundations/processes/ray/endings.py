"""What ended a training on the nodes of a Ray cluster, and for how many processes there is room."""

import time

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.settings.cluster import ClusterSettings

DEATH_SECONDS = 60.0  # until Ray declares a node dead that is silent; then its peers have failed
LOOK_SECONDS = 0.5
STARTS = 3  # that may fail in a row although no node died


def dead_nodes() -> set[str]:
    """Return the ids of the nodes that are dead."""
    import ray

    return {node["NodeID"] for node in ray.nodes() if not node["Alive"]}


def may_follow_a_death(error: Exception) -> bool:
    """Return whether this is how it ends if a node dies; torch's errors are RuntimeErrors."""
    from ray.exceptions import RayError
    from ray.train.v2._internal.exceptions import RayTrainError

    failures = getattr(error, "worker_failures", {"": error}).values()
    return any(isinstance(failure, RuntimeError | RayError | RayTrainError) for failure in failures)


def lost_a_node(before: set[str], error: Exception) -> bool:
    """Return whether another node is dead than before, also one that joined while Ray waited.

    Ray notices after its peers did, but before it gives up waiting for room.
    """
    until = time.monotonic() + (0.0 if has_no_room(error) else DEATH_SECONDS)
    while dead_nodes() <= before:
        if time.monotonic() > until:
            return False
        time.sleep(LOOK_SECONDS)
    return True


def room_for(settings: ClusterSettings) -> int:
    """Return how many processes fit on the nodes that are alive."""
    import ray

    kind = f"accelerator_type:{settings.accelerator}"
    found = 0
    for node in ray.nodes():
        has = node["Resources"] if node["Alive"] else {}
        if settings.accelerator is None or kind in has:
            gpus = has.get("GPU", 0.0) if settings.gpus else float("inf")
            found += int(min(has.get("CPU", 0.0) // settings.cpus, gpus))
    return found


def raise_refusal(error: Exception) -> None:
    """Raise a rank's own sentence, if that is what ended the training."""
    for failure in getattr(error, "worker_failures", {}).values():
        if isinstance(failure, PersynError):
            raise PersynError.unpacked(failure.packed()) from None


def has_no_room(error: Exception) -> bool:
    """Return whether Ray found no room for all processes in time; there may be some yet."""
    from ray.train.v2._internal.exceptions import WorkerGroupStartupTimeoutError

    return isinstance(getattr(error, "controller_failure", None), WorkerGroupStartupTimeoutError)


def died_at_start(error: Exception) -> bool:
    """Return whether a process died before it could begin."""
    from ray.train.v2._internal.exceptions import WorkerGroupStartupFailedError

    return isinstance(getattr(error, "controller_failure", None), WorkerGroupStartupFailedError)


def told(error: Exception, label: str) -> Exception:
    """Return what ended a training for which there is no remedy here."""
    from ray.exceptions import RayActorError
    from ray.train.v2._internal.exceptions import WorkerHealthCheckFailedError

    died = (RayActorError, WorkerHealthCheckFailedError)
    for rank, failure in getattr(error, "worker_failures", {}).items():
        if isinstance(failure, died):
            said = str(failure).strip().splitlines()[0]
            return PersynError(f"{label}, rank {rank}: its process on the cluster died: {said}")
    if died_at_start(error):
        return PersynError(
            f"{label}: a process died on the cluster as it started, {STARTS} times: look into the "
            "nodes' logs (`ray logs`), for example for a lack of memory."
        )
    return RuntimeError(f"{label} failed on the cluster:\n{error}")


class Patience:
    """How long a training waits for nodes to join that have room for its processes.

    It begins anew with each death of a node. Room that is there but taken by other work is waited
    for without a limit, as for everything else on a cluster.
    """

    def __init__(self, settings: ClusterSettings, label: str) -> None:
        self._settings, self._label = settings, label
        self.begin()

    def begin(self) -> None:
        """Wait from now on."""
        self._until = time.monotonic() + self._settings.training_wait_seconds
        self._failed_starts = 0

    def allows(self, error: Exception) -> bool:
        """Return whether to ask for the processes again after this error."""
        self._failed_starts = self._failed_starts + 1 if died_at_start(error) else 0
        return has_no_room(error) or 0 < self._failed_starts < STARTS

    def left(self, processes: int) -> float:
        """Return the seconds that are left; infinitely many if the nodes have room.

        Raises:
            PersynError: none are; says what is missing.
        """
        settings = self._settings
        if (room := room_for(settings)) >= processes:
            return float("inf")
        if (left := self._until - time.monotonic()) > 0:
            return left
        kind = f" of type {settings.accelerator}" if settings.accelerator else ""
        gpu = f" and one GPU{kind}" if settings.gpus else ""
        raise PersynError(
            f"{self._label}: the cluster's nodes have had room for {room} of {processes} processes "
            f"(each takes {settings.cpus:g} CPUs{gpu}) for "
            f"{settings.training_wait_seconds:g} s: add nodes, lower cluster.training_processes or "
            "raise cluster.training_wait_seconds, then run the same command to resume."
        )
