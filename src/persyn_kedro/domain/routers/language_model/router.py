"""The paper's router: a language model with a linear coefficient head (METHOD.md, 2)."""

import math
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from persyn_kedro.domain.routers import embeddings
from persyn_kedro.domain.routers.base import TeacherRouter
from persyn_kedro.domain.routers.language_model.bradley_terry import bradley_terry_loss, count_pairs
from persyn_kedro.domain.routers.language_model.checkpoint import RouterCheckpoint
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes.ranks import group
from persyn_kedro.foundations.progress import add_tokens, watching
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.routers import LanguageModelRouterSettings

if TYPE_CHECKING:
    import torch

    from persyn_kedro.foundations.models.resolve import ResolvedModel

HEAD = "coefficient_head.safetensors"
Scores = Callable[[Sequence[list[int]]], "torch.Tensor"]  # n prompts' token ids to (n, K)


class LanguageModelRouter(TeacherRouter):
    """Scores read by a zero-initialised linear head at the prompt's last token.

    The architecture is Prompt-to-Leaderboard's; one backbone pass per prompt serves all its pairs.
    If several ranks fit it (``foundations.processes.ranks``), each has all the weights and takes
    its share of every batch.
    """

    invalid_reward = -1.0  # pairs only have an order: below every valid reward, including 0
    settings: LanguageModelRouterSettings
    _model: Any
    _tokenizer: Any
    _head: Any

    def fit_valid(self, prompts: list[Prompt], rewards: np.ndarray) -> Iterator[dict[str, float]]:
        """Yield each epoch's loss, in nats: the mean over its batches.

        AdamW with gradients clipped to norm 1, linear warm-up, then linear decay. In a
        ``workspace`` each epoch leaves a checkpoint, from which the same training resumes.

        Raises:
            PersynError: the loss is no longer finite.
        """
        import torch

        torch.manual_seed(self.seed)  # for a backbone's dropout, if any
        self._load_modules(self.n_teachers_)
        ids = self._encode(prompts)
        targets = torch.tensor(rewards, dtype=torch.float64, device=self._model.device)
        batches = math.ceil(len(ids) / self.settings.batch_size)
        optimizer, schedule = self._optimizer(batches * self.settings.epochs)
        shuffles = torch.Generator().manual_seed(self.seed)
        parts = {
            "model": self._model, "head": self._head, "optimizer": optimizer, "schedule": schedule,
        }  # fmt: skip
        checkpoint = RouterCheckpoint(self.workspace, self._identity(ids, rewards), shuffles)
        curve = checkpoint.load(parts)
        yield from curve
        self._model.train()
        scores = self._trained_scores()
        steps = batches * self.settings.epochs
        with watching("training the router", steps, "training steps") as watch:
            watch.begin(steps, batches * len(curve))
            for epoch in range(len(curve) + 1, self.settings.epochs + 1):
                losses = []
                order = torch.randperm(len(ids), generator=shuffles)
                for batch in order.split(self.settings.batch_size):
                    rows = [ids[i] for i in batch.tolist()]
                    loss = _loss(scores, rows, targets[batch.to(targets.device)])
                    losses.append(self._step(loss, optimizer, schedule))
                    watch.advance(note=f"loss {losses[-1]:.3f}")
                curve.append({"epoch": epoch, "loss": float(np.mean(losses))})
                checkpoint.save(parts, curve)
                yield curve[-1]
        self._model.eval()

    def score_batches(self, prompts: Sequence[Prompt], batch_size: int) -> Iterator[np.ndarray]:
        """Yield (b, K) float32 scores, in prompt order."""
        import torch

        for start in range(0, len(prompts), batch_size):
            ids = self._encode(prompts[start : start + batch_size])
            with torch.inference_mode():
                yield self._scores(ids).float().cpu().numpy()

    def points(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """Return the (n, hidden) float32 hidden states that the head reads."""
        import torch

        size, ids = self.settings.batch_size, self._encode(prompts)
        with torch.inference_mode():
            batches = [self._last(ids[i : i + size]) for i in range(0, len(ids), size)]
            return torch.cat(batches).float().cpu().numpy()

    @classmethod
    def _backbone(cls, saved: dict[str, Any], directory: Path) -> "ResolvedModel":
        """Return the backbone that ``write_fitted`` wrote: the original is not needed."""
        from persyn_kedro.foundations.models.resolve import ResolvedModel

        backbone = saved["backbone"]
        settings = ModelSettings(**backbone["settings"])
        return ResolvedModel(backbone["name"], directory, backbone["weights_id"], settings)

    def write_fitted(self, directory: Path) -> None:
        """Save backbone, tokenizer and head."""
        from safetensors.torch import save_file

        self._model.save_pretrained(directory)
        self._tokenizer.save_pretrained(directory)
        head = {name: tensor.cpu() for name, tensor in self._head.state_dict().items()}
        save_file(head, directory / HEAD)

    def read_fitted(self, directory: Path) -> None:
        from safetensors.torch import load_file

        head = load_file(directory / HEAD)
        self.n_teachers_ = len(head["bias"])
        self._load_modules(self.n_teachers_)
        self._head.load_state_dict(head)

    def _load_modules(self, count: int) -> None:
        import torch

        self._model, self._tokenizer = embeddings.load_backbone(self.backbone)
        hidden = self._model.config.get_text_config().hidden_size
        self._head = torch.nn.Linear(hidden, count).to(self._model.device)
        torch.nn.init.zeros_(self._head.weight)
        torch.nn.init.zeros_(self._head.bias)

    def _encode(self, prompts: Sequence[Prompt]) -> list[list[int]]:
        longest = embeddings.longest(self._model, self.settings.max_prompt_tokens)
        return embeddings.encode(self._tokenizer, prompts, longest)

    def _scores(self, ids: Sequence[list[int]]) -> "torch.Tensor":
        return self._head(self._last(ids))

    def _last(self, ids: Sequence[list[int]]) -> "torch.Tensor":
        import torch

        states = embeddings.hidden_states(self._model, ids)
        return torch.stack([prompt[-1] for prompt in states])

    def _identity(self, ids: list[list[int]], rewards: np.ndarray) -> dict[str, Any]:
        """Return everything that this training depends on."""
        return {
            "ids": ids,
            "rewards": [[None if np.isnan(r) else r for r in row] for row in rewards.tolist()],
            "weights_id": self.backbone.weights_id,
            "settings": self.settings.model_dump(mode="json"),
            "seed": self.seed,
        }

    def _trained_scores(self) -> "Scores":
        """Return ``_scores``; with several ranks, gradients are averaged as they are computed."""
        import torch

        if group().size == 1:
            return self._scores

        class Scorer(torch.nn.Module):
            def __init__(self, scores: Scores, *parts: torch.nn.Module) -> None:
                super().__init__()
                self.scores = scores
                self.parts = torch.nn.ModuleList(parts)

            def forward(self, ids: Sequence[list[int]]) -> torch.Tensor:
                return self.scores(ids)

        # A backbone may have weights that the last hidden states do not depend on.
        return torch.nn.parallel.DistributedDataParallel(
            Scorer(self._scores, self._model, self._head), find_unused_parameters=True
        )

    def _optimizer(self, steps: int) -> tuple[Any, Any]:
        import torch

        groups = [
            {"params": self._model.parameters(), "lr": self.settings.learning_rate},
            {"params": self._head.parameters(), "lr": self.settings.head_learning_rate},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=self.settings.weight_decay, fused=True)
        warmup = int(steps * self.settings.warmup_fraction)

        def factor(step: int) -> float:
            if step < warmup:
                return (step + 1) / (warmup + 1)
            return (steps - step) / (steps - warmup) if step < steps else 0.0

        return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, factor)

    def _step(self, loss: "torch.Tensor", optimizer: Any, schedule: Any) -> float:
        import torch

        total = group().total(loss)
        if not torch.isfinite(total):
            raise PersynError("The router's loss is not finite. Lower train_router.learning_rate.")
        (loss * group().size).backward()  # the ranks' gradients are averaged
        parameters = [*self._model.parameters(), *self._head.parameters()]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        return total.item()


def _loss(scores: "Scores", rows: Sequence[list[int]], targets: "torch.Tensor") -> "torch.Tensor":
    """Return this rank's part of a batch's loss: the ranks' parts add up to it."""
    mine = group()
    if mine.size == 1:
        return bradley_terry_loss(scores(rows), targets)
    sizes = [len(row) for row in rows]
    share = mine.share(sizes)
    add_tokens(sum(sizes) - sum(sizes[i] for i in share))  # the others'
    pairs = count_pairs(targets[share])
    share = share or [0]  # a rank without any takes part in the step but adds nothing
    loss = bradley_terry_loss(scores([rows[i] for i in share]), targets[share])
    return loss * (pairs / max(1, count_pairs(targets)))
