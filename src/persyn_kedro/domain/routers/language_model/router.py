"""The paper's router: a language model with a linear coefficient head (METHOD.md, 2)."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from persyn_kedro.domain.routers import embeddings
from persyn_kedro.domain.routers.base import TeacherRouter
from persyn_kedro.domain.routers.language_model.checkpoint import RouterCheckpoint
from persyn_kedro.domain.routers.language_model.heads import heads_without_groups
from persyn_kedro.domain.routers.language_model.training import (
    frozen_scores,
    share_of_loss,
    trained_scores,
)
from persyn_kedro.domain.routers.language_model.tuning import merged, prepared
from persyn_kedro.domain.routers.losses import loss_of
from persyn_kedro.domain.routers.network import Layers, jackknife_errors, outputs
from persyn_kedro.domain.routers.scored import Scored
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.processes.group import group
from persyn_kedro.foundations.progress import watching
from persyn_kedro.foundations.prompts.conversation import Prompt
from persyn_kedro.foundations.settings.models import ModelSettings
from persyn_kedro.foundations.settings.router_keys import EmbeddingSettings
from persyn_kedro.foundations.settings.routers import LanguageModelRouterSettings

if TYPE_CHECKING:
    import torch

    from persyn_kedro.foundations.models.resolve import ResolvedModel

HEAD = "coefficient_head.safetensors"
WITHOUT = ("without_weight", "without_bias")  # heads fitted without a group of the prompts each


class LanguageModelRouter(TeacherRouter):
    """Scores read by a zero-initialised linear head at the prompt's last token, or another pooling.

    The architecture is Prompt-to-Leaderboard's; one backbone pass per prompt serves all its pairs.
    If several ranks fit it (``foundations.processes.group``), each has all the weights and takes
    its share of every batch.
    """

    settings: LanguageModelRouterSettings
    _model: Any
    _tokenizer: Any
    _head: Any
    _without: Layers | None = None
    _fitted: tuple[list[Prompt], np.ndarray] | None = None  # what these are still to be fitted on

    def fit_valid(self, prompts: list[Prompt], rewards: np.ndarray) -> Iterator[dict[str, float]]:
        """Yield each epoch's loss, in nats: the mean over its batches.

        AdamW with gradients clipped to norm 1, linear warm-up, then linear decay. In a
        ``workspace`` each epoch leaves a checkpoint, from which the same training resumes.

        Raises:
            PersynError: the loss is no longer finite.
        """
        import torch

        torch.manual_seed(self.seed)  # for adapters, and a backbone's dropout, if any
        loss = loss_of(self.settings)
        self._load_modules(self.n_teachers_ + loss.extra)
        adapters = prepared(self._model, self.settings)
        ids = self._encode(prompts)
        targets = torch.tensor(rewards, dtype=torch.float64)
        batches = math.ceil(len(ids) / self.settings.batch_size)
        optimizer, schedule = self._optimizer(batches * self.settings.epochs)
        shuffles = torch.Generator().manual_seed(self.seed)
        parts = {
            "model": self._model, "head": self._head, "optimizer": optimizer, "schedule": schedule,
        }  # fmt: skip
        identity = self._identity(ids, rewards)
        checkpoint = RouterCheckpoint(self.workspace, identity, self.version, shuffles)
        curve = checkpoint.load(parts)
        yield from curve
        self._model.train(self.settings.tuning != "head_only")
        if self.settings.tuning == "head_only":
            scores = frozen_scores(self._head, self._read(prompts, self.settings.batch_size))
        else:
            scores = trained_scores(self._model, self._head, self._states, ids)
        steps = batches * self.settings.epochs
        with watching("training the router", steps, "training steps") as watch:
            watch.begin(steps, batches * len(curve))
            for epoch in range(len(curve) + 1, self.settings.epochs + 1):
                losses = []
                order = torch.randperm(len(ids), generator=shuffles)
                for batch in order.split(self.settings.batch_size):
                    part = share_of_loss(loss, scores, ids, batch.tolist(), targets)
                    losses.append(self._step(part, optimizer, schedule))
                    watch.advance(note=f"loss {losses[-1]:.3f}")
                    done = batches * (epoch - 1) + len(losses)
                    watch.measure(done, {"batch_loss": losses[-1]})
                curve.append({"epoch": epoch, "loss": float(np.mean(losses))})
                checkpoint.save(parts, curve)
                yield curve[-1]
        self._model = merged(self._model, adapters).eval()
        self._without, self._fitted = None, (prompts, rewards)

    def score_batches(self, prompts: Sequence[Prompt], batch_size: int) -> Iterator[np.ndarray]:
        """Yield (b, K) float32 scores, in prompt order."""
        for states in self._read(prompts, batch_size):
            yield self._scores(states)

    def scored_batches(self, prompts: Sequence[Prompt], batch_size: int) -> Iterator[Scored]:
        """Yield scores and standard errors, in prompt order.

        The errors are those of the head alone, given the states that the fitted backbone reads.
        """
        without = self._heads_without_groups()
        for states in self._read(prompts, batch_size):
            points = states.cpu().double().numpy()
            errors = None if without is None else jackknife_errors(outputs(without, points))
            found = None if errors is None else errors.astype(np.float32)
            yield Scored(self._scores(states), found)

    def points(self, prompts: Sequence[Prompt]) -> np.ndarray:
        """Return the (n, hidden) float32 hidden states that the head reads."""
        found = list(self._read(prompts, self.settings.batch_size))
        return np.concatenate([states.float().cpu().numpy() for states in found])

    def _read(self, prompts: Sequence[Prompt], batch_size: int) -> Iterator["torch.Tensor"]:
        """Yield batches of the (b, hidden) states that the head reads.

        A backbone that is not trained reads each prompt once for all heads fitted on it.
        """
        import torch

        if self.settings.tuning == "head_only":
            most, how = (
                self.settings.max_prompt_tokens,
                EmbeddingSettings(pooling=self.settings.pooling),
            )
            loaded = self._model, self._tokenizer
            for points in embeddings.embed_batches(
                self.backbone, prompts, batch_size, most, how, loaded
            ):
                yield torch.tensor(points, device=self._model.device)
            return
        for start in range(0, len(prompts), batch_size):
            ids = self._encode(prompts[start : start + batch_size])
            with torch.inference_mode():
                states = self._states(ids)
            yield states

    def _scores(self, states: "torch.Tensor") -> np.ndarray:
        import torch

        with torch.inference_mode():
            return self._head(states)[:, : self.n_teachers_].float().cpu().numpy()

    def _heads_without_groups(self) -> Layers | None:
        """Return heads fitted to the fitted prompts' states without a group of them each."""
        if self._fitted is not None:
            prompts, rewards = self._fitted
            self._fitted = None
            self._without = heads_without_groups(
                self.points(prompts), rewards, loss_of(self.settings)
            )
        return self._without

    @classmethod
    def _backbone(cls, saved: dict[str, Any], directory: Path) -> "ResolvedModel":
        """Return the backbone that ``write_fitted`` wrote: the original is not needed."""
        from persyn_kedro.foundations.models.resolve import ResolvedModel

        backbone = saved["backbone"]
        settings = ModelSettings(**backbone["settings"])
        return ResolvedModel(backbone["name"], directory, backbone["weights_id"], settings)

    def write_fitted(self, directory: Path) -> None:
        """Save backbone, tokenizer and head."""
        import torch
        from safetensors.torch import save_file

        self._model.save_pretrained(directory)
        self._tokenizer.save_pretrained(directory)
        head = {name: tensor.cpu() for name, tensor in self._head.state_dict().items()}
        for layer in self._heads_without_groups() or ():
            head |= dict(zip(WITHOUT, map(torch.tensor, layer), strict=True))
        head["teachers"] = torch.tensor(self.n_teachers_)
        save_file(head, directory / HEAD)

    def read_fitted(self, directory: Path) -> None:
        from safetensors.torch import load_file

        head = load_file(directory / HEAD)
        self.n_teachers_ = int(head.pop("teachers", len(head["bias"])))  # older files lack it
        without = [head.pop(name).numpy() for name in WITHOUT if name in head]
        self._without = [(without[0], without[1])] if without else None
        self._load_modules(len(head["bias"]))
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

    def _states(self, ids: Sequence[list[int]]) -> "torch.Tensor":
        """Return the (n, hidden) states that the head reads."""
        import torch

        pooling = self.settings.pooling
        states = embeddings.hidden_states(self._model, ids)
        return torch.stack([embeddings.pooled(prompt, pooling) for prompt in states])

    def _identity(self, ids: list[list[int]], rewards: np.ndarray) -> dict[str, Any]:
        """Return everything that this training depends on."""
        return {
            "ids": ids,
            "rewards": [[None if np.isnan(r) else r for r in row] for row in rewards.tolist()],
            "weights_id": self.backbone.weights_id,
            "settings": self.settings.model_dump(mode="json"),
            "seed": self.seed,
        }

    def _trained(self) -> list[Any]:
        """Return the backbone's weights that are trained."""
        return [p for p in self._model.parameters() if p.requires_grad]

    def _optimizer(self, steps: int) -> tuple[Any, Any]:
        import torch

        groups = [{"params": self._head.parameters(), "lr": self.settings.head_learning_rate}]
        if trained := self._trained():
            groups.insert(0, {"params": trained, "lr": self.settings.learning_rate})
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
        parameters = [*self._trained(), *self._head.parameters()]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        return total.item()
