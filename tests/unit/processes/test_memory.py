"""What the system says about memory, as its files are written."""

from pathlib import Path

import pytest

from persyn_kedro.foundations.processes import memory

MEMINFO = "MemTotal:       100 kB\nMemFree:          1 kB\nMemAvailable:    50 kB\n"
V1 = "sys/fs/cgroup/memory/"


@pytest.mark.parametrize(
    ("files", "free"),
    [
        ({}, 0),
        ({"proc/meminfo": "MemTotal: 100 kB\n"}, 0),
        ({"proc/meminfo": MEMINFO}, 50 * 1024),
        ({"proc/meminfo": MEMINFO, "sys/fs/cgroup/memory.max": "max\n",
          "sys/fs/cgroup/memory.current": "900\n"}, 50 * 1024),
        ({"proc/meminfo": MEMINFO, "sys/fs/cgroup/memory.max": "1000\n",
          "sys/fs/cgroup/memory.current": "900\n",
          "sys/fs/cgroup/memory.stat": "anon 800\ninactive_file 30\n"}, 130),
        ({"proc/meminfo": MEMINFO, f"{V1}memory.limit_in_bytes": "700\n",
          f"{V1}memory.usage_in_bytes": "900\n"}, 0),
        ({"proc/meminfo": MEMINFO, f"{V1}memory.limit_in_bytes": "9223372036854771712\n",
          f"{V1}memory.usage_in_bytes": "900\n"}, 50 * 1024),
        # A job of Slurm's: the limit is that of a group above its step's.
        ({"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/slurm/job_7/step_0\n",
          "sys/fs/cgroup/slurm/job_7/memory.max": "2000\n",
          "sys/fs/cgroup/slurm/job_7/memory.current": "500\n",
          "sys/fs/cgroup/slurm/job_7/step_0/memory.max": "max\n",
          "sys/fs/cgroup/slurm/job_8/memory.max": "10\n",
          "sys/fs/cgroup/slurm/job_8/memory.current": "10\n"}, 1500),
        ({"proc/meminfo": MEMINFO, "proc/self/cgroup": "5:cpu:/a\n4:memory,x:/job\n0::/\n",
          f"{V1}job/memory.limit_in_bytes": "800\n", f"{V1}job/memory.usage_in_bytes": "100\n",
          f"{V1}job/memory.stat": "inactive_file 5\n",
          f"{V1}memory.limit_in_bytes": "9223372036854771712\n",
          f"{V1}memory.usage_in_bytes": "900\n"}, 705),
        # A container that is told its path outside: what it sees is its own.
        ({"proc/meminfo": MEMINFO, "proc/self/cgroup": "0::/docker/1f\n",
          "sys/fs/cgroup/memory.max": "1000\n", "sys/fs/cgroup/memory.current": "900\n"}, 100),
    ],
)  # fmt: skip
def test_free_is_what_the_system_and_the_container_leave(
    files: dict[str, str], free: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, text in files.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    monkeypatch.setattr(memory, "_FILES", tmp_path)
    assert memory.free_bytes() == free


def test_a_processs_own_memory_is_what_nothing_else_shares(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rollup = "5-7 ---p 00000000 00:00 0  [rollup]\nRss: 900 kB\nPrivate_Dirty: 70 kB\n"
    (tmp_path / "proc" / "self").mkdir(parents=True)
    (tmp_path / "proc" / "self" / "smaps_rollup").write_text(rollup)
    monkeypatch.setattr(memory, "_FILES", tmp_path)
    assert memory.own_bytes() == 70 * 1024
