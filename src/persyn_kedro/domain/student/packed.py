"""TRL's SFT trainer on packed rows: no padding, and logits at completion tokens only."""

import inspect
from typing import TYPE_CHECKING, Any

from persyn_kedro.foundations.models.packing import pack, use_packing

if TYPE_CHECKING:
    import torch

IGNORED = -100  # PyTorch's cross-entropy ignores these labels
_ROWS_AT_ONCE = 64  # rows of float32 logits; they stay in the processor's cache


def packable(model: Any) -> bool:
    """Switch ``model`` to packed attention; return whether it can be trained on packed rows."""
    return "logits_to_keep" in inspect.signature(model.forward).parameters and use_packing(model)


def collate(examples: list[dict[str, list[int]]]) -> dict[str, Any]:
    """Return one packed row: ``input_ids``, ``position_ids``, ``labels`` (1, tokens), segments."""
    import torch

    packed = pack([([], [list(example["input_ids"]) for example in examples])])
    labels = [label for example in examples for label in example["labels"]]
    return {
        "input_ids": torch.tensor([packed.input_ids]),
        "position_ids": torch.tensor([packed.position_ids]),
        "labels": torch.tensor([labels]),
        "segments": packed.segments,
    }


def packed_trainer() -> Any:
    """Return the trainer class (defined here because importing TRL takes seconds)."""
    from trl import SFTTrainer

    class PackedTrainer(SFTTrainer):
        """``SFTTrainer`` with the same loss, up to rounding, for packed rows on a CPU.

        On a GPU, TRL's fused head is a Triton kernel and is kept; without one it takes more than a
        third of a step.
        """

        def compute_loss(
            self,
            model: Any,
            inputs: dict[str, Any],
            return_outputs: bool = False,
            num_items_in_batch: Any = None,
        ) -> Any:
            other = self.label_smoother is not None or self.args.loss_type != "nll"
            if inputs["input_ids"].is_cuda or self.aux_loss_enabled or other:
                return super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
            targets = inputs["labels"][0, 1:]
            kept = (targets != IGNORED).nonzero()[:, 0]
            given = {name: value for name, value in inputs.items() if name != "labels"}
            output = model(**given, logits_to_keep=kept, use_cache=False)
            loss = summed_cross_entropy(output.logits[0], targets[kept])
            loss = loss / (len(kept) if num_items_in_batch is None else num_items_in_batch)
            loss = loss * self.args.world_size  # a group averages gradients and losses
            return (loss, output) if return_outputs else loss

    return PackedTrainer


def summed_cross_entropy(logits: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
    """Return the cross-entropy of (rows, vocabulary) logits, in nats, summed in float32.

    The gradient overwrites ``logits``, which must not be used again: there is never a second matrix
    of that size.
    """
    import torch

    class SummedCrossEntropy(torch.autograd.Function):
        @staticmethod
        def forward(ctx: Any, logits: "torch.Tensor", targets: "torch.Tensor") -> "torch.Tensor":
            gradient = logits.detach()
            loss = logits.new_zeros((), dtype=torch.float32)
            for rows, ids in zip(
                gradient.split(_ROWS_AT_ONCE), targets.split(_ROWS_AT_ONCE), strict=True
            ):
                logp = rows.float().log_softmax(dim=-1)
                at = torch.arange(len(ids), device=ids.device)
                loss -= logp[at, ids].sum()
                logp.exp_()[at, ids] -= 1.0
                rows.copy_(logp)
            ctx.save_for_backward(gradient)
            return loss

        @staticmethod
        def backward(ctx: Any, gradient: "torch.Tensor") -> tuple["torch.Tensor", None]:
            return ctx.saved_tensors[0].mul_(gradient), None

    return SummedCrossEntropy.apply(logits, targets)
