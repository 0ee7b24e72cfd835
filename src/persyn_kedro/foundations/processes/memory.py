"""How much memory is free, and how much a process would give back."""

import sys
from pathlib import Path

_FILES = Path("/")  # where the system's are
# Limits of control groups, version 2 and version 1: a container's, a job's, a service's.
_GROUPS = {
    "": ("sys/fs/cgroup", "memory.max", "memory.current"),
    "memory": ("sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.usage_in_bytes"),
}


def free_bytes() -> int:
    """Return the memory that is free or holds only cached files; 0 if the system does not say.

    In a container, or a cluster's job, that is what its limit leaves, if this is less.
    """
    found = _values("proc/meminfo").get("MemAvailable:")
    if found is None:
        return 0
    return min([1024 * found, *_left_by_limits()])


def own_bytes() -> int:
    """Return the memory that this process gives back when it ends: what nothing else shares."""
    return 1024 * _values("proc/self/smaps_rollup").get("Private_Dirty:", 0)


def uses_gpu() -> bool:
    """Return whether the models of this process are on a GPU."""
    torch = sys.modules.get("torch")
    return torch is not None and torch.cuda.is_available()


def _left_by_limits() -> list[int]:
    found = []
    for kind, (top, limit, used) in _GROUPS.items():
        for group in _own_groups(kind):
            place = f"{top}/{group}"
            most, now = _number(f"{place}/{limit}"), _number(f"{place}/{used}")
            if most is not None and now is not None:
                cached = _values(f"{place}/memory.stat").get("inactive_file", 0)
                found.append(max(0, most - now + cached))
    return found


def _own_groups(kind: str) -> list[str]:
    """Return the paths of this process's control group and of those that it is in.

    In a container the system may tell the path outside of it: the container's own is the first.
    """
    rows = (line.split(":", 2) for line in _text("proc/self/cgroup").splitlines())
    named = [path for _, kinds, path in rows if kind in kinds.split(",")]
    parts = [part for part in "".join(named[:1]).split("/") if part not in ("", "..")]
    return ["/".join(parts[:depth]) for depth in range(len(parts) + 1)]


def _number(name: str) -> int | None:
    text = _text(name).strip()
    return int(text) if text.isdigit() else None  # "max" is no limit


def _values(name: str) -> dict[str, int]:
    """Return the first number after each line's first word."""
    rows = (line.split() for line in _text(name).splitlines())
    return {row[0]: int(row[1]) for row in rows if len(row) > 1 and row[1].isdigit()}


def _text(name: str) -> str:
    try:
        return (_FILES / name).read_text(encoding="utf-8")
    except OSError:
        return ""
