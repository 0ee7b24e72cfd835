"""The outputs of a batch while a router trains, and each process's share of its loss."""

from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any

from persyn_kedro.domain.routers.losses import Loss
from persyn_kedro.foundations.processes.group import group
from persyn_kedro.foundations.progress import add_tokens

if TYPE_CHECKING:
    import torch

Scores = Callable[[list[int]], "torch.Tensor"]  # n indices of fitted prompts to (n, outputs)
States = Callable[[Sequence[list[int]]], "torch.Tensor"]  # n prompts' token ids to (n, hidden)


def trained_scores(model: Any, head: Any, states: States, ids: Sequence[list[int]]) -> Scores:
    """Return the outputs of fitted prompts, by their indices.

    With several ranks, gradients are averaged as they are computed.
    """
    import torch

    def outputs(chosen: list[int]) -> torch.Tensor:
        return head(states([ids[i] for i in chosen]))

    if group().size == 1:
        return outputs

    class Scorer(torch.nn.Module):
        def __init__(self, *parts: torch.nn.Module) -> None:
            super().__init__()
            self.parts = torch.nn.ModuleList(parts)

        def forward(self, chosen: list[int]) -> torch.Tensor:
            return outputs(chosen)

    # A backbone may have weights that the last hidden states do not depend on.
    return torch.nn.parallel.DistributedDataParallel(
        Scorer(model, head), find_unused_parameters=True
    )


def frozen_scores(head: Any, states: Iterable["torch.Tensor"]) -> Scores:
    """As ``trained_scores``, by a backbone that is not trained, from batches of its states."""
    import torch

    known = torch.cat(list(states))
    return lambda chosen: head(known[chosen])


def share_of_loss(
    loss: Loss,
    scores: Scores,
    ids: Sequence[list[int]],
    batch: list[int],
    targets: "torch.Tensor",
) -> "torch.Tensor":
    """Return this rank's part of a batch's loss: the ranks' parts add up to it.

    It is computed where the (n, K) targets are, in their type: Apple's GPUs have no float64.
    """
    mine = group()
    if mine.size == 1:
        return loss(scores(batch).to(targets.device), targets[batch])
    sizes = [len(ids[i]) for i in batch]
    share = mine.share(sizes)
    add_tokens(sum(sizes) - sum(sizes[i] for i in share))  # the others'
    own = [batch[i] for i in share] or batch[:1]  # a rank without any takes part but adds nothing
    total = loss.total(scores(own).to(targets.device), targets[own]) * bool(share)
    return total / max(1e-12, float(loss.weight(targets[batch])))
