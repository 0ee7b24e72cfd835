"""The ranks of a group: batches are shared, one rank tells, and none outlives another."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest

from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes import ranks
from persyn_kedro.foundations.processes.group import Group, group
from persyn_kedro.foundations.processes.ranks import run_in_ranks
from persyn_kedro.foundations.settings.cluster import ClusterSettings
from persyn_kedro.foundations.settings.routers import TrainRouterSettings
from persyn_kedro.foundations.settings.student import SftSettings
from tests.support.processes import is_running


def add_up(numbers: list[int]):
    import torch

    mine = group()
    part = sum(numbers[i] for i in mine.share(numbers))
    yield part, int(mine.total(torch.tensor(part))), os.environ["WORLD_SIZE"]
    yield mine


def agree():
    mine = group()
    found = mine.agreed(Path(f"checkpoint-{mine.rank}"))
    if str(found) != "checkpoint-0":
        raise PersynError(f"Rank {mine.rank} has {found}.")
    yield found


def lose_one(directory: Path, how: str):
    """Rank 1 is lost; the others wait for it, or fail because of it."""
    mine = group()
    (directory / str(os.getpid())).touch()
    mine.barrier()
    if mine.rank == 1:
        if how == "refused":
            raise PersynError("Row 3 of x.csv has no prompt.")
        if how == "a fault":
            os.abort()
        os.kill(os.getpid(), signal.SIGKILL)
    mine.barrier()
    yield "never"


def wait_for_ever(directory: Path):
    (directory / str(os.getpid())).touch()
    group().barrier()
    yield "all are there"
    time.sleep(600)


def test_a_batch_is_shared_by_size_and_nothing_is_lost() -> None:
    sizes = [5, 900, 40, 300, 300, 300, 7]
    shares = [Group(rank, 3).share(sizes) for rank in range(3)]
    assert sorted(sum(shares, [])) == list(range(len(sizes)))
    assert sorted(sum(sizes[i] for i in share) for share in shares) == [352, 600, 900]
    assert [Group(rank, 3).share([1, 1]) for rank in range(3)] == [[0], [1], []]
    assert Group().share(sizes) == list(range(len(sizes)))


def test_rank_0_tells_what_all_have_done() -> None:
    items = list(run_in_ranks(add_up, [10, 4, 3, 1], processes=2, sharding="fsdp", label="adding"))
    assert items == [(10, 18, "2"), Group(0, 2, True)]


def test_all_ranks_take_what_rank_0_sees() -> None:
    items = list(run_in_ranks(agree, processes=2, sharding="none", label="agreeing"))
    assert items == [Group().agreed(Path("checkpoint-0"))]


@pytest.mark.parametrize(
    ("how", "sentence"),
    [
        ("killed", r"^adding, rank 1 of 2: its process was killed by SIGKILL \(exit code -9\)"),
        (
            "a fault",
            r"rank 1 of 2: its process was killed by SIGABRT (.|\n)*Current (.|\n)*lose_one",
        ),
        ("refused", r"^Row 3 of x.csv has no prompt\.$"),
    ],
)
def test_a_lost_rank_ends_the_work_in_one_sentence(tmp_path: Path, how: str, sentence: str) -> None:
    with pytest.raises(PersynError, match=sentence):
        list(run_in_ranks(lose_one, tmp_path, how, processes=2, sharding="none", label="adding"))
    pids = [int(path.name) for path in tmp_path.iterdir()]
    assert len(pids) == 2
    assert not any(is_running(pid) for pid in pids)


def test_the_ranks_end_with_their_parent(tmp_path: Path) -> None:
    script = """
        import sys
        from pathlib import Path
        from persyn_kedro.foundations.processes.ranks import run_in_ranks
        from tests.integration.test_ranks import wait_for_ever
        if __name__ == "__main__":
            work = (wait_for_ever, Path(sys.argv[1]))
            for item in run_in_ranks(*work, processes=2, sharding="none", label="waiting"):
                print(item, flush=True)
    """
    path = tmp_path / "parent.py"
    path.write_text(textwrap.dedent(script))
    (tmp_path / "pids").mkdir()
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, str(path), str(tmp_path / "pids")],
        env={**os.environ, "PYTHONPATH": f"{root / 'src'}:{root}"},
        stdout=subprocess.PIPE,
        text=True,
    ) as parent:
        assert parent.stdout is not None
        assert parent.stdout.readline() == "all are there\n"
        pids = [int(path.name) for path in (tmp_path / "pids").iterdir()]
        assert len(pids) == 2 and all(is_running(pid) for pid in pids)
        parent.kill()
    while any(is_running(pid) for pid in pids):  # the suite's own limit ends a test that hangs
        time.sleep(0.05)


def test_each_rank_has_a_gpu_of_its_own_or_none_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import torch

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    with pytest.raises(
        PersynError, match=r"^cluster\.training_processes is 2, but this machine has 1 GPU"
    ):
        ranks._meet(Group(1, 2), tmp_path / "store")


def test_what_cannot_be_shared_is_refused() -> None:
    two = ClusterSettings(training_processes=2, sharding="fsdp")
    router, knn = (TrainRouterSettings(kind=k, batch_size=1) for k in ("language_model", "knn"))
    ClusterSettings(sharding="fsdp").check_training(SftSettings(batch_size=1, lora={}), router)
    two.check_training(SftSettings(), knn)
    two.check_training(SftSettings(), TrainRouterSettings(tuning="head_only", batch_size=1))
    with pytest.raises(
        PersynError, match=r"^Parameter sft\.batch_size: 1 rows cannot be shared by"
    ):
        two.check_training(SftSettings(batch_size=1), knn)
    with pytest.raises(PersynError, match=r"^Parameter train_router\.batch_size: 1 rows"):
        two.check_training(SftSettings(), router)
    two.check_training(SftSettings(lora={"target_modules": ["q_proj"]}), knn)
    for lora, key in [
        ({"use_dora": True}, "use_dora"),
        ({"quantize": "4bit"}, "quantize"),
        ({"init_lora_weights": "pissa"}, "init_lora_weights"),
    ]:
        with pytest.raises(PersynError, match=rf"^Parameter sft\.lora\.{key}: it needs all of the"):
            two.check_training(SftSettings(lora=lora), knn)
