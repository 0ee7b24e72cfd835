"""The processes that train one model together, as one of them sees them.

``ranks`` starts them on this machine, ``ray.training`` on a cluster; the training is the same.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True)
class Group:
    """The processes that train together, as one of them sees them.

    Attributes:
        rank: this process's number; only rank 0 reports progress and writes shared files.
        size: the number of processes.
        sharded: whether each holds a part of the weights (torch's ``fully_shard``).
    """

    rank: int = 0
    size: int = 1
    sharded: bool = False

    def barrier(self) -> None:
        """Wait for the others."""
        if self.size > 1:
            from torch import distributed

            distributed.barrier()

    def agreed(self, value: Any) -> Any:
        """Return rank 0's value: on a shared disk the others may see what was there before."""
        if self.size == 1:
            return value
        from torch import distributed

        values = [value]
        distributed.broadcast_object_list(values)
        return values[0]

    def total(self, value: "torch.Tensor") -> "torch.Tensor":
        """Return the sum of all ranks' values, without a gradient."""
        from torch import distributed

        total = value.detach().clone()
        if self.size > 1:
            distributed.all_reduce(total)
        return total

    def share(self, sizes: list[int]) -> list[int]:
        """Return which items of a batch are this rank's: the ranks' sums of sizes are about equal.

        The longest are assigned first, each to the rank that has least. A rank may get none.
        """
        given: list[list[int]] = [[] for _ in range(self.size)]
        sums = [0] * self.size
        for item in sorted(range(len(sizes)), key=lambda i: -sizes[i]):
            least = sums.index(min(sums))
            given[least].append(item)
            sums[least] += sizes[item]
        return sorted(given[self.rank])


_group = Group()


def group() -> Group:
    """Return the group of which this process is a rank: by default, just itself."""
    return _group


def join(mine: Group) -> None:
    """Be this rank from now on."""
    global _group
    _group = mine
