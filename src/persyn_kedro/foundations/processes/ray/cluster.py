"""The Ray cluster of a run: found by its address, or started on this machine."""

import atexit
import logging
import os
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.extras import need
from persyn_kedro.foundations.settings.cluster import WORDS, ClusterSettings, host_and_port
from persyn_kedro.foundations.settings.engine import EngineSettings

REACH_SECONDS = 5.0
_starting = threading.Lock()
_started: str | None = None  # address of the cluster that this process started


def check_cluster(settings: ClusterSettings, engine: EngineSettings) -> None:
    """Refuse settings that no cluster can satisfy.

    Raises:
        PersynError: Ray is not installed, or the engine or a training needs Ray but there is no
            address.
    """
    if settings.address is None:
        if engine.name == "ray":
            raise PersynError(
                "engine.name is ray, but cluster.address is not set (`local` starts a cluster)."
            )
        if settings.training_on == "cluster":
            raise PersynError(
                "cluster.training_on is cluster, but cluster.address is not set (`local` starts a "
                "cluster)."
            )
    else:
        need("cluster.address", "ray")


def check_reachable(settings: ClusterSettings) -> None:
    """Refuse a cluster that does not answer; for ``local`` nothing is started here.

    Raises:
        PersynError: no cluster answers, or this machine is not a node of it (Ray would wait a
            minute).
    """
    address = settings.address
    if address == "auto":
        address = os.environ.get("RAY_ADDRESS") or address  # as Ray does
    if address in (None, "local"):
        return
    told = f"cluster.address {settings.address!r}"
    if address != settings.address:
        told += f" (RAY_ADDRESS is {address!r})"
    try:
        place = host_and_port(_found(address))
        socket.create_connection(place, timeout=REACH_SECONDS).close()
    except (OSError, ValueError) as error:
        raise PersynError(f"No Ray cluster answers at {told}: {error}.") from error
    if not _is_node():
        raise PersynError(
            f"This machine is not a Ray node, which {told} requires. "
            "`ray start --address=HOST:PORT --num-cpus=0` makes it a node that does no work."
        )


def _found(address: str) -> str:
    """Return ``address``; for ``auto``, that of the cluster to which Ray would connect."""
    if address not in WORDS:
        return address
    _quieten()
    from ray._private import services  # Ray has no public name for it

    services.find_gcs_addresses.cache_clear()
    try:
        return services.canonicalize_bootstrap_address(address)
    except ConnectionError:
        raise ValueError("none was started on this machine (see `ray start`)") from None


def _is_node() -> bool:
    """Return whether a node of any cluster runs on this machine; a driver needs one."""
    _quieten()
    from ray._private import services

    return bool(services.find_node_ids())


def reachable(settings: ClusterSettings) -> ClusterSettings:
    """Return settings whose address other processes of this machine can connect to.

    For ``local`` this starts a cluster of all cores, once; it ends with this process.
    """
    if settings.address != "local":
        return settings
    return settings.model_copy(update={"address": _start()})


def connect(settings: ClusterSettings) -> None:
    """Make this process a driver of the cluster until it ends.

    Raises:
        PersynError: no such cluster.
    """
    import ray

    if ray.is_initialized():
        return
    _quieten()
    try:
        ray.init(
            address=settings.address,
            runtime_env=settings.runtime_env or None,
            logging_level=logging.ERROR,
            log_to_driver=False,
            configure_logging=False,
        )
    except (ConnectionError, RuntimeError, TypeError, ValueError) as error:
        # versions, runtime_env, token
        said = str(error).strip().splitlines() or [type(error).__name__]
        raise PersynError(
            f"The Ray cluster at cluster.address {settings.address!r} cannot be used: {said[0]}"
        ) from error
    _quieten_data()


def _start() -> str:
    global _started
    with _starting:
        if _started is None:
            import ray

            _quieten()
            with _own_sigterm():
                context = ray.init(
                    address="local",
                    include_dashboard=False,
                    logging_level=logging.ERROR,
                    log_to_driver=False,
                    configure_logging=False,
                )
            atexit.register(ray.shutdown)
            _started = context.address_info["gcs_address"]
    return _started


@contextmanager
def _own_sigterm() -> Iterator[None]:
    """Keep this process's handler of SIGTERM, if it has one: ``ray.init`` sets Ray's."""
    before = signal.getsignal(signal.SIGTERM)
    yield
    if callable(before) and threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, before)


def _quieten() -> None:
    """Stop Ray from sending usage statistics and printing advice; what the user exported wins."""
    for name, value in {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    }.items():
        os.environ.setdefault(name, value)


def _quieten_data() -> None:
    """Silence Ray Data's bars: our own progress lines show the same."""
    import ray.data

    context: Any = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.enable_operator_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
