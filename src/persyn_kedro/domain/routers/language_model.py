"""The paper's router: a language model with a linear coefficient head (METHOD.md, 2)."""

import math
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from persyn_kedro.domain.rewards import comparable
from persyn_kedro.domain.routers import embeddings, persistence
from persyn_kedro.domain.routers.bradley_terry import bradley_terry_loss
from persyn_kedro.foundations.errors import PersynError
from persyn_kedro.foundations.parameters import ModelSettings, TrainRouterSettings

if TYPE_CHECKING:
    import torch

    from persyn_kedro.foundations.weights import ResolvedModel

HEAD = "coefficient_head.safetensors"


class LanguageModelRouter:
    """Scores read by a zero-initialised linear head at the prompt's last token.

    The architecture is Prompt-to-Leaderboard's; one backbone pass of a prompt serves all its pairs.
    """

    def __init__(
        self, backbone: "ResolvedModel", settings: TrainRouterSettings, seed: int = 0
    ) -> None:
        self.backbone = backbone
        self.settings = settings
        self.seed = seed
        self.n_fit = 0
        self._model: Any = None
        self._tokenizer: Any = None
        self._head: Any = None

    def fit_epochs(self, prompts: Sequence[str], rewards: np.ndarray) -> Iterator[dict[str, float]]:
        """Fit, yielding ``{"epoch", "loss"}`` after each epoch (loss in nats, mean over batches).

        ``rewards`` is (n, K) float64, NaN where invalid; prompts without a pair are not used.
        AdamW with gradients clipped to norm 1, linear warm-up, then linear decay.

        Raises:
            PersynError: no prompt has two valid teachers, or the loss is no longer finite.
        """
        import torch

        kept = np.flatnonzero(comparable(rewards))
        if not len(kept):
            raise PersynError("the router cannot be fitted: no prompt has two valid teachers.")
        torch.manual_seed(self.seed)  # a backbone's dropout, where it has any
        self._load_modules(rewards.shape[1])
        ids = embeddings.encode(
            self._tokenizer, [prompts[i] for i in kept], self.settings.max_prompt_tokens
        )
        targets = torch.tensor(rewards[kept], dtype=torch.float64, device=self._model.device)
        batches = math.ceil(len(ids) / self.settings.batch_size)
        optimizer, schedule = self._optimizer(batches * self.settings.epochs)
        shuffles = torch.Generator().manual_seed(self.seed)
        self._model.train()
        for epoch in range(1, self.settings.epochs + 1):
            losses = []
            for batch in torch.randperm(len(ids), generator=shuffles).split(
                self.settings.batch_size
            ):
                scores = self._scores([ids[i] for i in batch.tolist()])
                loss = bradley_terry_loss(scores, targets[batch.to(targets.device)])
                losses.append(self._step(loss, optimizer, schedule))
            yield {"epoch": epoch, "loss": float(np.mean(losses))}
        self._model.eval()
        self.n_fit = len(kept)

    def fit(self, prompts: Sequence[str], rewards: np.ndarray) -> "LanguageModelRouter":
        """Fit on prompts and their (n, K) rewards, NaN where invalid."""
        for _ in self.fit_epochs(prompts, rewards):
            pass
        return self

    def score_batches(self, prompts: Sequence[str], batch_size: int) -> Iterator[np.ndarray]:
        """Yield (b, K) float32 scores, in prompt order."""
        import torch

        for start in range(0, len(prompts), batch_size):
            ids = embeddings.encode(
                self._tokenizer,
                prompts[start : start + batch_size],
                self.settings.max_prompt_tokens,
            )
            with torch.inference_mode():
                yield self._scores(ids).float().cpu().numpy()

    def predict_scores(self, prompts: Sequence[str]) -> np.ndarray:
        """Return the (n, K) float32 scores; the highest is the teacher to ask."""
        empty = np.empty((0, self._head.out_features), dtype=np.float32)
        return np.concatenate([empty, *self.score_batches(prompts, self.settings.batch_size)])

    def save(self, directory: Path) -> None:
        """Save backbone, tokenizer, head and ``router.json``."""
        from safetensors.torch import save_file

        directory = Path(directory)
        self._model.save_pretrained(directory)
        self._tokenizer.save_pretrained(directory)
        head = {name: tensor.cpu() for name, tensor in self._head.state_dict().items()}
        save_file(head, directory / HEAD)
        persistence.write_description(
            directory,
            persistence.describe(
                "language_model", self.backbone, self.settings, self.seed, self.n_fit
            ),
        )

    @classmethod
    def load(cls, directory: Path) -> "LanguageModelRouter":
        """Load what ``save`` wrote; the original backbone is not needed."""
        from safetensors.torch import load_file

        from persyn_kedro.foundations.weights import ResolvedModel

        directory = Path(directory)
        saved = persistence.read_description(directory)
        backbone = ResolvedModel(
            saved["backbone"]["name"],
            directory,
            saved["backbone"]["weights_id"],
            ModelSettings(**saved["backbone"]["settings"]),
        )
        router = cls(backbone, TrainRouterSettings(**saved["settings"]), saved["seed"])
        head = load_file(directory / HEAD)
        router._load_modules(len(head["bias"]))
        router._head.load_state_dict(head)
        router.n_fit = saved["n_fit"]
        return router

    def _load_modules(self, count: int) -> None:
        import torch

        self._model, self._tokenizer = embeddings.load_backbone(self.backbone)
        hidden = self._model.config.get_text_config().hidden_size
        self._head = torch.nn.Linear(hidden, count).to(self._model.device)
        torch.nn.init.zeros_(self._head.weight)
        torch.nn.init.zeros_(self._head.bias)

    def _scores(self, ids: Sequence[list[int]]) -> "torch.Tensor":
        import torch

        states, mask = embeddings.hidden_states(self._model, self._tokenizer, ids)
        rows = torch.arange(len(ids), device=states.device)
        return self._head(states[rows, mask.sum(dim=1) - 1])

    def _optimizer(self, steps: int) -> tuple[Any, Any]:
        import torch

        groups = [
            {"params": self._model.parameters(), "lr": self.settings.learning_rate},
            {"params": self._head.parameters(), "lr": self.settings.head_learning_rate},
        ]
        optimizer = torch.optim.AdamW(groups, weight_decay=self.settings.weight_decay)
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
