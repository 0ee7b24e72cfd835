"""The kinds of router by name: their classes, and how saved ones are loaded.

Naming a kind needs neither torch nor scikit-learn: a class is imported on first use.
"""

import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

from persyn_kedro.domain.routers.kinds import plain_class
from persyn_kedro.domain.routers.saving import (
    Pool,
    check_own_code,
    check_pool,
    read_description,
    write_description,
)
from persyn_kedro.foundations.errors import PersynError

if TYPE_CHECKING:
    from persyn_kedro.domain.routers.base import TeacherRouter

VERSION = 3  # of every kind: raise it when the same inputs give another result


def router_class(kind: str) -> Any:
    """Return the class of a kind of router.

    Raises:
        PersynError: a class of the user's own does not exist or is not a router.
    """
    if kind == "ensemble":
        from persyn_kedro.domain.routers.ensemble import EnsembleRouter

        return EnsembleRouter
    if kind == "auto":
        from persyn_kedro.domain.routers.auto import AutoRouter

        return AutoRouter
    return plain_class(kind)


def save_router(router: "TeacherRouter", directory: Path, pool: Pool) -> None:
    """Save ``router`` with the pool it was fitted for; ``router.json`` is written last."""
    directory = Path(directory)
    shutil.rmtree(directory, ignore_errors=True)  # remains of a killed run may be linked elsewhere
    directory.mkdir(parents=True)
    router.save(directory)
    write_description(directory, {**read_description(directory), "teachers": list(pool)})


def load_router(directory: Path, pool: Pool) -> "TeacherRouter":
    """Load a router, refusing one that was fitted for another pool.

    Raises:
        PersynError: the router is missing or incomplete, or the pool or the user's own code
            differs (the message names the difference).
    """
    from safetensors import SafetensorError

    check_pool(directory, pool)
    saved = check_own_code(directory)
    try:
        return router_class(saved["kind"]).load(Path(directory))
    except (OSError, KeyError, ValueError, SafetensorError) as error:
        reason = str(error).strip().splitlines() or [type(error).__name__]
        raise PersynError(f"The router in {directory} is corrupt: {reason[0]}") from error
