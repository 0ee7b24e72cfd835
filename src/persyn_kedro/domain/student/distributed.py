"""The SFT trainer as one of several processes, with one process's batches, losses and files.

Each process draws every complete batch, like a single process, and trains on its share of it. So
neither the data order nor a checkpoint depends on the number of processes. The libraries' own ways
do not do this: accelerate gives each process batches of its own (so two processes take half as many
steps, with other losses), or splits each batch, for which its size must be a multiple of the number
of processes; and Transformers refuses to make checkpoints of sharded weights.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from persyn_kedro.domain.student.adapters import adapter_state
from persyn_kedro.domain.student.packed import IGNORED
from persyn_kedro.foundations.processes.group import Group

Example = dict[str, list[int]]
Collator = Callable[[list[Example]], dict[str, Any]]


def share_of(collator: Collator, group: Group) -> Collator:
    """Return ``collator`` for this process's share of each batch.

    A process with an empty share (the last batch may have fewer rows than there are processes)
    takes part in the step with a row without labels, which adds nothing to loss or gradients.
    """

    def collate(examples: list[Example]) -> dict[str, Any]:
        sizes = [len(example["input_ids"]) for example in examples]
        share = [examples[i] for i in group.share(sizes)]
        return collator(share or [_without_labels(examples[sizes.index(min(sizes))])])

    return collate


def _without_labels(example: Example) -> Example:
    return {**example, "labels": [IGNORED] * len(example["labels"])}


def group_trainer(trainer: type) -> type:
    """Return a trainer class that gets complete batches in each process of a group."""
    from accelerate.data_loader import BatchSamplerShard

    class GroupTrainer(trainer):
        """``trainer`` whose collator, not its sampler, gives each process its share."""

        def get_train_dataloader(self) -> Any:
            loader = super().get_train_dataloader()
            sampler = loader.batch_sampler
            if isinstance(sampler, BatchSamplerShard):  # pass every batch through unchanged
                sampler.num_processes, sampler.process_index, sampler.even_batches = 1, 0, False
            return loader

    return GroupTrainer


def sharded_trainer(trainer: type) -> type:
    """Return a trainer class for parameters of ``fully_shard``.

    Its checkpoints have the usual files: gathered when saved, sharded when loaded.
    """
    import torch
    from transformers.trainer import OPTIMIZER_NAME, SCHEDULER_NAME
    from transformers.trainer_utils import SaveStrategy

    class ShardedTrainer(trainer):
        """``trainer`` with complete optimizer states in its checkpoints.

        Transformers refuses to make any: it would save only rank 0's part. An adapter beside
        sharded weights is whole in each process, and Transformers' own files are right.
        """

        def __init__(self, *given: Any, args: Any, **more: Any) -> None:
            wanted, args.save_strategy = args.save_strategy, SaveStrategy.NO
            super().__init__(*given, args=args, **more)
            self.args.save_strategy = wanted

        def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
            """Load an adapter; a model was loaded from the checkpoint, each part in its place."""
            if self._has_adapter:
                super()._load_from_checkpoint(resume_from_checkpoint, model)

        @property
        def _has_adapter(self) -> bool:
            return hasattr(self.model, "peft_config")

        def _save(self, output_dir: str | None = None, state_dict: Any = None) -> None:
            if self._has_adapter:
                state_dict = adapter_state(self.model)
            super()._save(output_dir, state_dict)

        def _save_optimizer_and_scheduler(self, output_dir: str) -> None:
            if self._has_adapter:
                return super()._save_optimizer_and_scheduler(output_dir)
            state = _gathered(self.optimizer.state_dict(), self.args.should_save)
            if self.args.should_save:
                torch.save(state, Path(output_dir) / OPTIMIZER_NAME)
                torch.save(self.lr_scheduler.state_dict(), Path(output_dir) / SCHEDULER_NAME)

        def _load_optimizer_and_scheduler(self, checkpoint: str | None) -> None:
            if self._has_adapter:
                return super()._load_optimizer_and_scheduler(checkpoint)
            if checkpoint is None:
                return
            directory = Path(checkpoint)
            state = torch.load(
                directory / OPTIMIZER_NAME, map_location="cpu", mmap=True, weights_only=True
            )
            self.optimizer.load_state_dict(_cut(state, self.optimizer.param_groups))
            schedule = torch.load(directory / SCHEDULER_NAME, weights_only=True)
            self.lr_scheduler.load_state_dict(schedule)

    return ShardedTrainer


def save_sharded(model: Any, directory: Path) -> None:
    """Save what ``save_pretrained`` saves of a full model; all processes take part, rank 0 writes.

    Transformers' own method writes tied weights twice.
    """
    from transformers.distributed.utils import gather_full_state_dict

    state = gather_full_state_dict(model)
    if state:  # only rank 0 has anything
        for name in model.all_tied_weights_keys:
            state.pop(name, None)
        model.config.distributed_config = None  # the state is complete: nothing to gather
        model.save_pretrained(directory, state_dict=state)


def _gathered(state: dict[str, Any], keep: bool) -> dict[str, Any]:
    """Return an optimizer's state with full tensors on the CPU; all processes take part.

    Without ``keep``, only one tensor at a time is in memory.
    """
    from torch.distributed.tensor import DTensor

    def whole(value: Any) -> Any:
        if isinstance(value, DTensor):
            tensor = value.full_tensor()
            return tensor.cpu() if keep else None
        return value

    states = {i: {k: whole(v) for k, v in of.items()} for i, of in state["state"].items()}
    return {**state, "state": states}


def _cut(state: dict[str, Any], groups: list[dict[str, Any]]) -> dict[str, Any]:
    """Return an optimizer's state of full tensors, sharded like the parameters of ``groups``."""
    from torch.distributed.tensor import distribute_tensor

    parameters = [parameter for group in groups for parameter in group["params"]]

    def part(value: Any, parameter: Any) -> Any:
        if value.shape != parameter.shape:  # the step count
            return value
        mesh, placements = parameter.device_mesh, parameter.placements
        return distribute_tensor(value, mesh, placements, src_data_rank=None)

    states = {
        i: {k: part(v, parameters[i]) for k, v in of.items()} for i, of in state["state"].items()
    }
    return {**state, "state": states}
