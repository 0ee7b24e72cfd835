"""The Ray cluster of a run: found by its address, or started on this machine."""

import atexit
import importlib.util
import logging
import os
import socket
import threading
from typing import Any
from urllib.parse import urlsplit

from persyn_kedro.foundations.cluster_parameters import ClusterSettings
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.model_parameters import EngineSettings

REACH_SECONDS = 5.0
_starting = threading.Lock()
_started: str | None = None  # the address of the cluster that this process started


def check_cluster(settings: ClusterSettings, engine: EngineSettings) -> None:
    """Refuse a cluster that cannot be used.

    Raises:
        PersynError: Ray is not installed, nothing listens at the address, or there is none.
    """
    if settings.address is None:
        if engine.name == "ray":
            raise PersynError(
                "engine.name is ray, but cluster.address is not set (`local` starts a cluster)."
            )
        return
    if importlib.util.find_spec("ray") is None:
        raise PersynError("cluster.address needs Ray, which is not here: pip install '.[ray]'.")
    place = _place(settings.address)
    if place is None:
        return
    try:
        socket.create_connection(place, timeout=REACH_SECONDS).close()
    except OSError as error:
        raise PersynError(
            f"No Ray cluster answers at cluster.address {settings.address!r} ({error})."
        ) from error


def reachable(settings: ClusterSettings) -> ClusterSettings:
    """Return settings whose address other processes of this machine can connect to.

    For ``local`` a cluster of all cores is started here, once; it ends with this process.
    """
    if settings.address != "local":
        return settings
    return settings.model_copy(update={"address": _start()})


def connect(settings: ClusterSettings) -> None:
    """Make this process a driver of the cluster; it stays one until it ends.

    Raises:
        PersynError: there is no such cluster.
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
    except (ConnectionError, RuntimeError, ValueError) as error:  # versions, runtime_env, token
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


def _place(address: str) -> tuple[str, int] | None:
    """Return host and port where the address names them."""
    if address in ("auto", "local"):
        return None
    parts = urlsplit(f"//{address}")
    try:
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or not port:
        raise PersynError(f"cluster.address is {address!r}: it is `auto`, `local` or host:port.")
    return host, port


def _quieten() -> None:
    """Ray reports nothing home and prints no advice; what the user exported stays."""
    for name, value in {
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "RAY_DATA_DISABLE_PROGRESS_BARS": "1",
    }.items():
        os.environ.setdefault(name, value)


def _quieten_data() -> None:
    """Our own progress lines tell what Ray Data's bars would."""
    import ray.data

    context: Any = ray.data.DataContext.get_current()
    context.enable_progress_bars = False
    context.enable_operator_progress_bars = False
    context.print_on_execution_start = False
    logging.getLogger("ray.data").setLevel(logging.ERROR)
