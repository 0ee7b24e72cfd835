"""The paper's router: a language model with a linear coefficient head (METHOD.md, 2)."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from persyn_kedro.domain.routers import embeddings
from persyn_kedro.domain.routers.bradley_terry import bradley_terry_loss
from persyn_kedro.domain.routers.estimator import TeacherRouter
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.model_parameters import ModelSettings
from persyn_kedro.foundations.progress import watching

if TYPE_CHECKING:
    import torch

    from persyn_kedro.foundations.weights import ResolvedModel

HEAD = "coefficient_head.safetensors"


class LanguageModelRouter(TeacherRouter):
    """Scores read by a zero-initialised linear head at the prompt's last token.

    The architecture is Prompt-to-Leaderboard's; one backbone pass of a prompt serves all its pairs.
    """

    invalid_reward = -1.0  # pairs have an order alone: below every valid reward, 0 too
    _model: Any
    _tokenizer: Any
    _head: Any

    def _fit_epochs(self, prompts: list[str], rewards: np.ndarray) -> Iterator[dict[str, float]]:
        """Yield each epoch's loss, in nats, the mean over its batches.

        AdamW with gradients clipped to norm 1, linear warm-up, then linear decay.

        Raises:
            PersynError: the loss is no longer finite.
        """
        import torch

        torch.manual_seed(self.seed)  # a backbone's dropout, where it has any
        self._load_modules(self.n_teachers_)
        ids = self._encode(prompts)
        targets = torch.tensor(rewards, dtype=torch.float64, device=self._model.device)
        batches = math.ceil(len(ids) / self.settings.batch_size)
        optimizer, schedule = self._optimizer(batches * self.settings.epochs)
        shuffles = torch.Generator().manual_seed(self.seed)
        self._model.train()
        steps = batches * self.settings.epochs
        with watching("training the router", steps, "training steps") as watch:
            for epoch in range(1, self.settings.epochs + 1):
                losses = []
                order = torch.randperm(len(ids), generator=shuffles)
                for batch in order.split(self.settings.batch_size):
                    scores = self._scores([ids[i] for i in batch.tolist()])
                    loss = bradley_terry_loss(scores, targets[batch.to(targets.device)])
                    losses.append(self._step(loss, optimizer, schedule))
                    watch.advance(note=f"loss {losses[-1]:.3f}")
                yield {"epoch": epoch, "loss": float(np.mean(losses))}
        self._model.eval()

    def score_batches(self, prompts: Sequence[str], batch_size: int) -> Iterator[np.ndarray]:
        """Yield (b, K) float32 scores, in prompt order."""
        import torch

        for start in range(0, len(prompts), batch_size):
            ids = self._encode(prompts[start : start + batch_size])
            with torch.inference_mode():
                yield self._scores(ids).float().cpu().numpy()

    def points(self, prompts: Sequence[str]) -> np.ndarray:
        """Return the (n, hidden) float32 hidden states that the head reads."""
        import torch

        size, ids = self.settings.batch_size, self._encode(prompts)
        with torch.inference_mode():
            batches = [self._last(ids[i : i + size]) for i in range(0, len(ids), size)]
            return torch.cat(batches).float().cpu().numpy()

    @classmethod
    def _backbone(cls, saved: dict[str, Any], directory: Path) -> "ResolvedModel":
        """Return what ``_save`` wrote: the original backbone is not needed."""
        from persyn_kedro.foundations.weights import ResolvedModel

        backbone = saved["backbone"]
        settings = ModelSettings(**backbone["settings"])
        return ResolvedModel(backbone["name"], directory, backbone["weights_id"], settings)

    def _save(self, directory: Path) -> None:
        """Save backbone, tokenizer and head."""
        from safetensors.torch import save_file

        self._model.save_pretrained(directory)
        self._tokenizer.save_pretrained(directory)
        head = {name: tensor.cpu() for name, tensor in self._head.state_dict().items()}
        save_file(head, directory / HEAD)

    def _load(self, directory: Path) -> None:
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

    def _encode(self, prompts: Sequence[str]) -> list[list[int]]:
        longest = embeddings.longest(self._model, self.settings.max_prompt_tokens)
        return embeddings.encode(self._tokenizer, prompts, longest)

    def _scores(self, ids: Sequence[list[int]]) -> "torch.Tensor":
        return self._head(self._last(ids))

    def _last(self, ids: Sequence[list[int]]) -> "torch.Tensor":
        import torch

        states = embeddings.hidden_states(self._model, ids)
        return torch.stack([prompt[-1] for prompt in states])

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

        if not torch.isfinite(loss):
            raise PersynError("the router's loss is not finite: lower train_router.learning_rate.")
        loss.backward()
        parameters = [*self._model.parameters(), *self._head.parameters()]
        torch.nn.utils.clip_grad_norm_(parameters, 1.0)
        optimizer.step()
        schedule.step()
        optimizer.zero_grad(set_to_none=True)
        return loss.item()
