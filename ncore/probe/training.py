"""Training a probed candidate for a few epochs: the same run from the same seed, also across a resume."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors
from torch import Tensor, nn

from ncore.errors import InputError, StoreError, TrainingFailedError
from ncore.probe._balance import balanced_weights, epoch_order
from ncore.probe._course import Course, Moment, gradient_norm
from ncore.probe._memory import by_parts, even_parts, free, is_out_of_memory, least_batch
from ncore.probe._optimizing import deterministic, lower_layers, make_optimizer, precision, schedule
from ncore.probe._predictions import Predicted, columns_of, predicted_of
from ncore.probe._state import State, check_tensors, metadata
from ncore.probe.rates import with_rates
from ncore.probe.rows_on_disk import Make
from ncore.probe.settings import TrainingSettings

__all__ = [
    "EVALUATION_BATCH",
    "MEMORY_FORMATS",
    "CheckpointClock",
    "Examples",
    "ProbedModel",
    "Trainer",
    "augment",
    "choose_device",
    "frozen_features",
]

MEMORY_FORMATS = {"contiguous": torch.contiguous_format, "channels_last": torch.channels_last}
EVALUATION_BATCH = 256
"""Examples that are looked at together in evaluation mode, where memory lasts for them."""

_RESIDENT = 0.4  # of a device's free memory
_SORTED = 50  # batches whose examples are put in order of their lengths
_T = TypeVar("_T")


@dataclass(frozen=True)
class Examples:
    """Inputs of a split as the model's stem takes them once ``prepare`` was applied, and class labels.

    Args:
        inputs: A row an example.
        labels: int64 (N,).
        prepare: What the model takes of a batch of these.
        lengths: int64 (N,) where examples are longer and shorter, as texts are: those of a batch are alike then.
    """

    inputs: Tensor
    labels: Tensor
    prepare: Callable[[Tensor], Tensor]
    lengths: Tensor | None = None

    def drawn(self, rows: Sequence[int] | np.ndarray | Tensor) -> Examples:
        """Those in these rows."""
        chosen = torch.as_tensor(np.asarray(rows))
        lengths = None if self.lengths is None else self.lengths[chosen]
        return Examples(self.inputs[chosen], self.labels[chosen], self.prepare, lengths)

    def usual(self) -> Examples:
        """One of them, of the median length."""
        at = 0 if self.lengths is None else int(self.lengths.argsort(stable=True)[len(self) // 2])
        return self.drawn([at])

    def by_length(self) -> tuple[Examples, Tensor | slice]:
        """From the longest to the shortest, and what puts them back in order.

        Memory that lasts for the first batch lasts for all then.
        """
        if self.lengths is None:
            return self, slice(None)
        order = self.lengths.argsort(descending=True, stable=True)
        return self.drawn(order), order.argsort()

    def joined(self, other: Examples) -> Examples:
        """These and others that are prepared alike; the shorter ones are padded to the longest of both."""
        inputs, lengths = [self.inputs, other.inputs], None
        if self.lengths is not None and other.lengths is not None:
            longest, lengths = max(one.shape[-1] for one in inputs), torch.cat([self.lengths, other.lengths])
            inputs = [nn.functional.pad(one, (0, longest - one.shape[-1])) for one in inputs]
        return Examples(torch.cat(inputs), torch.cat([self.labels, other.labels]), self.prepare, lengths)

    def __len__(self) -> int:
        return len(self.labels)


class ProbedModel(nn.Sequential):
    """A backbone with an NCP unit in place of its output layer.

    Args:
        backbone: From prepared inputs to features.
        unit: From features to classes.
        mode: Which of the two is trained.
        depth: The share of the backbone's layers, counted from its output, that is trained where the backbone is.
    """

    def __init__(self, backbone: nn.Module, unit: nn.Sequential, mode: str, depth: float = 1.0) -> None:
        super().__init__()
        self.backbone, self.unit, self.mode = backbone, unit, mode
        self.backbone.requires_grad_(mode != "unit")
        self.unit.requires_grad_(mode != "backbone")
        self._frozen = [backbone] if mode == "unit" else lower_layers(backbone, depth)
        for layer in self._frozen:
            for parameter in layer.parameters(recurse=mode == "unit"):
                parameter.requires_grad_(False)

    def train(self, mode: bool = True) -> ProbedModel:
        """Training mode for what is trained; what is frozen keeps its batch statistics."""
        super().train(mode)
        for layer in self._frozen:
            layer.train(False) if self.mode == "unit" else setattr(layer, "training", False)
        return self


class Trainer:
    """Epochs of one run. The state after an epoch depends on the settings and the seed only.

    Shuffling, augmentation and dropout draw from generators that are seeded anew each epoch, so a checkpoint
    needs no generator state, and an epoch can be repeated after a kill.
    """

    def __init__(self, model: ProbedModel, train: Examples, settings: TrainingSettings, seed: int) -> None:
        settings = with_rates(settings)
        self.model, self.settings, self.seed = model, settings, seed
        self.device = next(model.parameters()).device
        self.examples = _resident(train, self.device)
        weights = balanced_weights(train.labels, _outputs(model.unit)) if settings.class_weights else None
        self.loss = nn.CrossEntropyLoss(weights, label_smoothing=settings.label_smoothing).to(self.device)
        self.optimizer = make_optimizer(model.unit, model.backbone, settings)
        self._batch = settings.batch_size * settings.gradient_accumulation_steps
        self._forward = torch.compile(model) if settings.compile else model
        self.steps_per_epoch = sum(1 for _ in _batches(torch.arange(len(train)), self._batch))
        self.step, self.micro_batch = 0, settings.batch_size
        self.moments: list[Moment] = []
        self._evaluated = EVALUATION_BATCH
        self._one = torch.ones((), device=self.device)
        self._format = MEMORY_FORMATS[settings.memory_format]
        self._precision = precision(settings.precision, self.device)
        self._scaler = torch.amp.GradScaler(self.device.type, enabled=settings.precision == "float16")

    def epoch(self, number: int, clock: Callable[[], float] = time.monotonic) -> dict[str, float]:
        """Train for epoch ``number`` (from 1) and return its mean loss, accuracy while training and gradient norm.

        How it went in between is in ``moments`` then. Where memory runs out the epoch is begun again with batches in
        parts of half the size, whose gradients are added up; ``micro_batch`` says of which size.

        Args:
            number: Of the epoch.
            clock: What the seconds of ``moments`` are read from.

        Raises:
            TrainingFailedError: The loss or a weight is not finite any more.
        """
        before = State.of(self._trained_state(), self.optimizer, self._scaler)
        step = self.step
        while True:
            try:
                with deterministic(self.settings.deterministic):
                    course = self._train(number, clock)
                break
            except Exception as error:
                if self.micro_batch <= least_batch(self.model) or not is_out_of_memory(error):
                    raise
            self.optimizer.zero_grad(set_to_none=True)
            before.restore(self.model, self.optimizer, self._scaler)
            self.step = step
            self.micro_batch = (self.micro_batch + 1) // 2
            free()
        means, self.moments = course.means(), course.moments
        if not math.isfinite(means["loss"]):
            raise TrainingFailedError(
                f"The training loss became {means['loss']} in epoch {number} (learning rate "
                f"{self.optimizer.param_groups[0]['lr']:g}, {self.settings.optimizer}): "
                "lower the learning rate or clip the gradient."
            )
        return means | {"learning_rate": self.optimizer.param_groups[0]["lr"]}

    def _train(self, number: int, clock: Callable[[], float]) -> Course:
        seed = int(np.random.SeedSequence([self.seed, number]).generate_state(1)[0])
        generator = torch.Generator().manual_seed(seed)
        torch.manual_seed(seed)  # dropout
        self.model.train()
        order = epoch_order(self.examples.labels, self.settings.sampling, generator)
        if self.examples.lengths is not None:
            order = _alike_in_length(order, self._batch, self.examples.lengths, generator)
        course = Course(
            number, self.settings.epochs, self.steps_per_epoch, self.device, clock, self._scaler.is_enabled()
        )
        for picked in _batches(order, self._batch):
            labels = _moved(self.examples.labels[picked], self.device)
            inputs = self.examples.prepare(_moved(self.examples.inputs[picked], self.device))
            if self.settings.augment:
                inputs = augment(inputs, generator)
            for group in self.optimizer.param_groups:
                group["lr"] = group["initial_lr"] * self._schedule(self.step)
            course.end_step(self._step(inputs, labels, course), self.step)
        return course

    def _step(self, inputs: Tensor, labels: Tensor, course: Course) -> Tensor:
        """One step of the optimizer; returns the norm of its gradient."""
        self.optimizer.zero_grad(set_to_none=True)
        parts = even_parts(len(labels), self.micro_batch, least_batch(self.model))
        for part in parts:
            with self._precision():
                outputs = self._forward(inputs[part])
                loss = self.loss(outputs, labels[part])
            # Weighted so that the gradient is that of the whole batch.
            whole = loss if len(parts) == 1 else loss * self._share(labels, part)
            self._scaler.scale(whole).backward()
            course.add(loss, outputs, labels[part])
        if self.settings.clip_gradient is not None:
            self._scaler.unscale_(self.optimizer)
            norm = nn.utils.clip_grad_norm_(self.model.parameters(), self.settings.clip_gradient)
        else:
            norm = gradient_norm(self.model.parameters(), self._scaler.scale(self._one))
        self._scaler.step(self.optimizer)
        self._scaler.update()
        self.step += 1
        return norm

    def _share(self, labels: Tensor, part: slice) -> Tensor | float:
        """Of a part in the loss of its batch, a mean over examples as they are weighted."""
        if self.loss.weight is None:
            return len(labels[part]) / len(labels)
        each = self.loss.weight[labels]
        return each[part].sum() / each.sum()

    def evaluate(self, examples: Examples) -> dict[str, float]:
        """Accuracy and plain cross-entropy of a split, in evaluation mode."""
        return self._evaluate(examples, lambda *_: None)[0]

    def evaluate_probe(self, examples: Examples) -> tuple[dict[str, float], Tensor]:
        """The same, and what the unit was given: (N, features), so that a recorder need not run the backbone again."""
        examples, back = examples.by_length()
        metrics, features = self._evaluate(examples, lambda features, *_: features)
        return metrics, torch.cat(features)[back]

    def evaluate_each(self, examples: Examples) -> tuple[dict[str, float], dict[str, np.ndarray]]:
        """The same, and what was predicted of each example, as columns of the table ``predictions``."""

        def predicted(_: Tensor, likelihoods: Tensor, classes: Tensor, labels: Tensor) -> Predicted:
            return predicted_of(likelihoods, classes, labels, len(examples))

        sorted_examples, back = examples.by_length()
        metrics, parts = self._evaluate(sorted_examples, predicted)
        return metrics, columns_of(parts, examples.labels, back)

    def _evaluate(
        self, examples: Examples, keep: Callable[[Tensor, Tensor, Tensor, Tensor], _T]
    ) -> tuple[dict[str, float], list[_T]]:
        """One pass; ``keep`` is given features, log-likelihoods, predicted classes and labels, batch by batch."""
        self.model.eval()

        def part(rows: slice) -> tuple[int, float, _T]:
            labels = examples.labels[rows].to(self.device)
            features = self.model.backbone(examples.prepare(_moved(examples.inputs[rows], self.device)))
            outputs = self.model.unit(features).float()
            likelihoods, classes = outputs.log_softmax(1), outputs.argmax(1)
            loss = nn.functional.nll_loss(likelihoods, labels, reduction="sum")  # of both, the cross-entropy
            return int((classes == labels).sum()), float(loss), keep(features, likelihoods, classes, labels)

        with torch.no_grad(), self._precision():
            found, self._evaluated = by_parts(part, len(examples), self._evaluated)
        correct, total = sum(one[0] for one in found), sum(one[1] for one in found)
        metrics = {"accuracy": correct / len(examples), "loss": total / len(examples)}
        return metrics, [one[2] for one in found]

    def save(self, epoch: int) -> bytes:
        """What training needs to go on after ``epoch``, as the bytes of a safetensors file."""
        tensors = {f"model.{name}": t for name, t in self._trained_state().items()}
        for index, state in self.optimizer.state_dict()["state"].items():
            tensors |= {f"optimizer.{index}.{k}": v for k, v in state.items() if isinstance(v, Tensor)}
        meta = {"epoch": epoch, "step": self.step, "scaler": self._scaler.state_dict(), "tensors": sorted(tensors)}
        return save_tensors({k: v.detach().cpu().contiguous() for k, v in tensors.items()}, {"ncore": json.dumps(meta)})

    def load(self, data: bytes, last_epoch: int | None = None) -> int:
        """Go on from the bytes of :meth:`save`; returns the epoch that they follow.

        Args:
            data: A whole checkpoint file.
            last_epoch: The last that the run has recorded; None for any.

        Raises:
            StoreError: They are not of this training; nothing has been changed then.
        """
        try:
            meta = json.loads(metadata(data)["ncore"])
            tensors = load_tensors(data)
            epoch, step, scaler = int(meta["epoch"]), int(meta["step"]), dict(meta["scaler"])
        except Exception as error:  # it may hold anything
            raise StoreError(f"it is no checkpoint of a training ({type(error).__name__})") from error
        if epoch < 0 or step < 0 or (last_epoch is not None and epoch > last_epoch):
            raise StoreError(f"it is of epoch {epoch}, and the run has recorded {last_epoch}")
        if lost := sorted(set(meta.get("tensors", ())) - set(tensors)):
            raise StoreError(f"it lacks {lost[0]}")
        check_tensors(tensors, epoch, self._trained_state(), self.optimizer, self.settings)
        model = {k.removeprefix("model."): v for k, v in tensors.items() if k.startswith("model.")}
        self.model.load_state_dict(model, strict=False)  # what is frozen was built anew, the same
        state: dict[int, dict[str, Tensor]] = {}
        for key, value in tensors.items():
            if key.startswith("optimizer."):
                _, index, name = key.split(".", 2)
                # Fused optimizers go through parameter and state as they lie in memory.
                value = value.contiguous(memory_format=self._format) if value.ndim == 4 else value
                state.setdefault(int(index), {})[name] = value
        whole = self.optimizer.state_dict()
        self.optimizer.load_state_dict({**whole, "state": state})
        if scaler:
            self._scaler.load_state_dict(scaler)
        self.step = step
        return epoch

    def _trained_state(self) -> dict[str, Tensor]:
        frozen = {"unit": "backbone.", "backbone": "unit."}.get(self.model.mode)
        return {k: v for k, v in self.model.state_dict().items() if not (frozen and k.startswith(frozen))}

    def _schedule(self, step: int) -> float:
        """What learning rates are multiplied by at a step."""
        return schedule(self.settings, step, self.steps_per_epoch)


class CheckpointClock:
    """Saves as often as costs at most a fiftieth of the training time: epochs after the last one are repeated."""

    def __init__(self, share: float = 0.02) -> None:
        self._share, self._cost, self._last = share, 0.0, time.monotonic()

    def due(self) -> bool:
        """Whether enough time has passed for the next checkpoint."""
        return time.monotonic() - self._last >= self._cost / self._share

    @contextmanager
    def timed(self) -> Iterator[None]:
        """Around a save: remembers what it cost."""
        started = time.monotonic()
        yield
        self._last = time.monotonic()
        self._cost = self._last - started


def augment(images: Tensor, generator: torch.Generator) -> Tensor:
    """Shift by up to an eighth of the side (reflected at the border) and flip left to right, image by image."""
    count, _, height, width = images.shape
    pad = max(1, min(height, width) // 8)
    padded = nn.functional.pad(images, (pad,) * 4, mode="reflect")
    shift = torch.randint(0, 2 * pad + 1, (2, count, 1), generator=generator)
    rows = (shift[0] + torch.arange(height)).to(images.device)
    columns = (shift[1] + torch.arange(width)).to(images.device)
    each = torch.arange(count, device=images.device)[:, None, None]
    moved = padded[each, :, rows[:, :, None], columns[:, None, :]].permute(0, 3, 1, 2)
    flip = (torch.rand(count, 1, 1, 1, generator=generator) < 0.5).to(images.device)
    return torch.where(flip, moved.flip(3), moved).contiguous()


def frozen_features(
    backbone: nn.Module, examples: Examples, device: torch.device, keep: Callable[[Make], np.ndarray] | None = None
) -> Examples:
    """Features of a frozen backbone in evaluation mode, computed once.

    Args:
        backbone: Gives them.
        examples: To be passed through.
        device: That the backbone is on.
        keep: Keeps on disk what is made, if it is too large for memory.
    """
    backbone.eval()
    labels = examples.labels
    back: Tensor | slice = slice(None)
    if keep is None:
        examples, back = examples.by_length()

    def part(rows: slice | Tensor) -> Tensor:
        return backbone(examples.prepare(examples.inputs[rows].to(device))).float().cpu()

    def some(rows: np.ndarray) -> Iterator[np.ndarray]:
        with torch.no_grad():
            for batch in torch.from_numpy(rows).split(EVALUATION_BATCH):
                parts, _ = by_parts(lambda own, batch=batch: part(batch[own]), len(batch), len(batch))  # type: ignore[misc]
                yield torch.cat(parts).numpy()

    if keep is not None:
        return Examples(torch.from_numpy(keep(some)), labels, lambda x: x)

    with torch.no_grad():
        parts, _ = by_parts(part, len(examples), EVALUATION_BATCH)
    return Examples(torch.cat(parts)[back], labels, lambda x: x)


def _resident(examples: Examples, device: torch.device) -> Examples:
    """Training examples on a CUDA device from the start, if they take no more than a part of what it has left."""
    if device.type != "cuda" or examples.inputs.device.type == "cuda":
        return examples
    free, _ = torch.cuda.mem_get_info(device)
    if examples.inputs.numel() * examples.inputs.element_size() > _RESIDENT * free:
        return examples
    return replace(examples, inputs=examples.inputs.to(device))  # labels are few, and are drawn by on the CPU


def _moved(batch: Tensor, device: torch.device) -> Tensor:
    """A batch on the device; to a CUDA device through pinned memory, so that nothing waits for it."""
    if device.type == "cuda" and batch.device.type == "cpu":
        return batch.pin_memory().to(device, non_blocking=True)
    return batch.to(device)


def choose_device(name: str) -> torch.device:
    """The device of that name; "auto" is the first accelerator, else the CPU.

    Raises:
        InputError: No such device here.
    """
    if name == "auto":
        accelerator = torch.accelerator.current_accelerator(check_available=True)
        return torch.device("cpu") if accelerator is None else accelerator
    try:
        device = torch.device(name)
        torch.empty(0, device=device)
    except (RuntimeError, AssertionError) as error:
        raise InputError(
            f"The device is {name!r}, but this machine cannot use it "
            f"({str(error).splitlines()[0]}): use 'auto' or 'cpu'."
        ) from error
    return device


def _alike_in_length(order: Tensor, size: int, lengths: Tensor, generator: torch.Generator) -> Tensor:
    """An order whose batches hold examples of about one length, in any order among each other; as random otherwise.

    Of every ``_SORTED`` batches' worth of the order, those of one length come together; a last batch that is not full
    stays the last.
    """
    batches: list[Tensor] = []
    for some in order.split(_SORTED * size):
        batches += some[lengths[some].argsort(stable=True)].split(size)
    full = len(order) // size
    mixed = [batches[at] for at in torch.randperm(full, generator=generator).tolist()]
    return torch.cat([*mixed, *batches[full:]])


def _batches(order: Tensor, size: int) -> Iterator[Tensor]:
    """Batches of an order; a last batch of one is left out, as batch normalisation has no statistics of one."""
    for part in order.split(size):
        if len(part) > 1:
            yield part


def _outputs(unit: nn.Sequential) -> int:
    """Of the last dense layer: as many as there are classes."""
    return next(layer.out_features for layer in reversed(unit) if isinstance(layer, nn.Linear))
