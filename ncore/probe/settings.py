"""How a candidate is trained and what is recorded of it: validated settings with documented defaults."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, ClassVar, Literal, Self, TypeVar

from pydantic import BaseModel, ConfigDict, Field, PositiveInt, ValidationError, model_validator

from ncore._validation import refuse_booleans, refused
from ncore.errors import InputError
from ncore.network.strengths import DENSE, Strength

__all__ = [
    "DenseStrength",
    "Mode",
    "RecordingSettings",
    "Settings",
    "TrainingSettings",
    "UnitSettings",
    "identity_of",
    "read_settings",
]

Mode = Literal["backbone", "unit", "all"]
DenseStrength = Literal[Strength.SIGNED, Strength.ABSOLUTE, Strength.RELATIVE]


class Settings(BaseModel):
    """Base of all settings: unknown names are errors, numbers are finite, and nothing changes after it was read."""

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)

    @model_validator(mode="before")
    @classmethod
    def _means_what_it_says(cls, values: Any) -> Any:
        return refuse_booleans(values, cls)


class UnitSettings(Settings):
    """The NCP unit; the same for every candidate of a comparison, so that only what feeds it differs."""

    widths: tuple[PositiveInt, ...] = (256, 128, 64)
    activation: Literal["relu", "leaky_relu", "gelu", "silu", "tanh", "sigmoid", "elu", "softplus"] = "relu"
    dropout: float = Field(0.0, ge=0, lt=1)
    seed: int = 0


class TrainingSettings(Settings):
    """One fine-tuning run.

    ``mode``: "backbone" trains what is below a frozen unit (Algorithm 1 of the paper), "unit" freezes the
    backbone and trains the unit on features computed once, "all" trains both. ``fine_tuning_depth`` is the share of
    the backbone's layers, counted from its output, that is trained. Learning rates are per step of
    the optimizer; ``schedule`` is followed step by step, after ``warmup_epochs`` of linear warm-up. Without a
    ``learning_rate`` one is chosen by mode, optimizer and kind of model (``ncore.probe.rates``), in mode "all" a lower
    one for a backbone that comes with weights; one that is given is that of all that is trained, but for a
    ``backbone_learning_rate``.
    ``gradient_accumulation_steps`` batches of ``batch_size`` make one step of the optimizer.

    Where classes differ in size, ``class_weights`` "balanced" weighs the training loss so that all count alike, and
    ``sampling`` "balanced" draws as many examples of each in an epoch, with replacement. Validation and test stay as
    they are. With ``patience`` a run ends, finished, after so many epochs in which neither the accuracy nor the loss on
    validation data was better than ever before.

    ``memory_format`` "channels_last" makes many convolutions faster, depthwise ones up to twice on CPUs, for models
    that do not rely on how their tensors lie in memory (``view`` instead of ``flatten``); ``compile`` trains through
    ``torch.compile``. A seed gives the same run on one machine as far as torch promises it: always on a CPU, and with
    ``deterministic`` on a GPU too, where training fails if there is no deterministic algorithm.
    """

    #: Fields that came after runs had been recorded; see ``identity_of``.
    ADDED: ClassVar[Mapping[str, Any]] = {
        "backbone_learning_rate": None,
        "fine_tuning_depth": 1.0,
        "gradient_accumulation_steps": 1,
        "class_weights": None,
        "sampling": "shuffled",
        "patience": None,
        "compile": False,
        "deterministic": False,
    }

    mode: Mode = "backbone"
    fine_tuning_depth: float = Field(1.0, gt=0, le=1)
    epochs: PositiveInt = 10
    batch_size: int = Field(32, ge=2)
    gradient_accumulation_steps: PositiveInt = 1
    optimizer: Literal["adamw", "sgd"] = "adamw"
    learning_rate: float | None = Field(None, gt=0)
    backbone_learning_rate: float | None = Field(None, gt=0)
    momentum: float = Field(0.9, ge=0, lt=1)
    weight_decay: float = Field(0.01, ge=0)
    schedule: Literal["constant", "cosine", "linear", "step"] = "constant"
    warmup_epochs: float = Field(0.0, ge=0)
    label_smoothing: float = Field(0.0, ge=0, lt=1)
    clip_gradient: float | None = Field(None, gt=0)
    class_weights: Literal["balanced"] | None = None
    sampling: Literal["shuffled", "balanced"] = "shuffled"
    patience: PositiveInt | None = None
    augment: bool = False
    precision: Literal["float32", "bfloat16", "float16"] = "float32"
    unit: UnitSettings = UnitSettings()
    device: str = "auto"
    threads: PositiveInt | None = None
    memory_format: Literal["contiguous", "channels_last"] = "contiguous"
    compile: bool = False
    deterministic: bool = False

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.augment and self.mode == "unit":
            raise ValueError(
                "augment is true in mode 'unit', but its features are computed once: use mode 'all' or 'backbone', "
                "or augment: false"
            )
        if self.warmup_epochs > self.epochs:
            raise ValueError(f"warmup_epochs is {self.warmup_epochs}, but there are only {self.epochs} epochs")
        if self.mode == "unit" and self.fine_tuning_depth < 1:
            raise ValueError(
                f"fine_tuning_depth is {self.fine_tuning_depth:g} in mode 'unit', which trains no backbone: "
                "leave it out, or use mode 'all' or 'backbone'"
            )
        if self.backbone_learning_rate is not None and self.mode != "all":
            raise ValueError(
                f"backbone_learning_rate is {self.backbone_learning_rate:g}, but mode {self.mode!r} trains one part "
                "only: give its rate as learning_rate"
            )
        if self.class_weights and self.sampling == "balanced":
            raise ValueError(
                "class_weights and sampling are both 'balanced', so that small classes would count twice over: use one"
            )
        return self


class RecordingSettings(Settings):
    """What a run keeps, and so how large it gets.

    ``neurons`` bounds what trajectories and line graphs hold: at most so many neurons of each layer, drawn once
    with a fixed seed, and every synapse between them; ``None`` keeps all. beta_eff always uses the whole unit.
    ``trajectories_every`` and ``line_graph_every`` are in epochs, 0 for never; the line graph is also kept at
    the start and at the end. ``spread`` names strengths that report the symmetry and heterogeneity too.
    ``strengths`` may also name "hessian" and "hessian-cross", of the unit by its Hessian, about three gradients of
    the probe an epoch, and "model-hessian" and "model-hessian-cross", the same of the whole candidate.
    ``prediction_rows``: what was predicted of single examples of validation and test is kept of every epoch if that
    comes to no more rows, else of the first epoch, the best so far and the last; 0 for none.
    """

    #: What changes only how much is kept of a run, not the run; see ``identity_of``.
    ASIDE: ClassVar[frozenset[str]] = frozenset({"prediction_rows"})

    probe_samples: PositiveInt = 512
    strengths: tuple[Strength, ...] = DENSE
    spread: tuple[DenseStrength, ...] = ()
    neurons: PositiveInt | None = 64
    trajectories_every: int = Field(1, ge=0)
    line_graph_every: int = Field(10, ge=0)
    prediction_rows: int = Field(200_000, ge=0)


def identity_of(settings: BaseModel, without: Collection[str] = ()) -> dict[str, Any]:
    """What of these settings makes up the id of a run, as JSON.

    All fields with their values, so that a default that is changed later is told apart from the one before. A field
    that was added after runs had been recorded is listed in the class's ``ADDED``, with the value that stands for what
    was done before there was such a field: with that value it has no part in the id, and those runs stay found. One
    that is listed in ``ASIDE`` has no part in it with any value. So it is with the fields of settings within settings.

    Args:
        settings: Any settings or spec.
        without: Fields that do not change what is run.
    """
    added: Mapping[str, Any] = getattr(type(settings), "ADDED", {})
    values = settings.model_dump(mode="json", exclude={*without, *getattr(type(settings), "ASIDE", ())})
    for name in values:
        if isinstance(inner := getattr(settings, name), BaseModel):
            values[name] = identity_of(inner)
    return {name: value for name, value in values.items() if name not in added or value != added[name]}


_S = TypeVar("_S", bound=BaseModel)


def read_settings(kind: type[_S], values: Mapping[str, Any] | _S, where: str) -> _S:
    """Validate ``values``; the error is one sentence that says where, what was given and what is allowed."""
    if isinstance(values, kind):
        return values
    if not isinstance(values, Mapping):
        raise InputError(f"{where} is {values!r}, but a mapping of names to values is needed.")
    try:
        return kind.model_validate(dict(values))
    except ValidationError as error:
        raise refused(where, error, kind) from error
