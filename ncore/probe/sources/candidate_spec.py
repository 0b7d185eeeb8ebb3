"""What a candidate is called: one string or a mapping, checked before anything is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from ncore._validation import refuse_booleans
from ncore.errors import InputError
from ncore.probe import builtin
from ncore.probe._choices import read_spec, unknown

__all__ = ["BASELINES", "DOWNLOADED", "KINDS", "CandidateSpec", "Factory", "short_name", "split_source"]

DOWNLOADED = ("timm", "torchvision", "hf")
KINDS = (*DOWNLOADED, "file", "python", "embeddings", "baseline", "builtin")

BASELINES = ("linear", "trees")
_FILES = ("file", "embeddings")


class Factory(BaseModel):
    """An architecture given as a dotted function and its arguments."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    factory: str = Field(pattern=r"^\w+(\.\w+)+$")
    args: list[Any] = []
    kwargs: dict[str, Any] = {}


class CandidateSpec(BaseModel):
    """One candidate, as written in a recipe.

    Args:
        source: See the table above.
        name: Label; by default derived from the source.
        pretrained: Fetch the source's weights; by default so for timm, torchvision and hf without ``weights``.
        weights: A .safetensors file (or a plain state_dict in .pt) to load instead.
        architecture: For ``file:`` only: another source, or ``{factory: package.function, args: [], kwargs: {}}``.
        kwargs: For the constructor.
        remove: Dotted name or names of submodules to replace by an identity, as the output layer.
        channels: Override the input's channels, 1 or 3.
        input_size: Override its side in pixels, for cheap probing.
        mean: Override the normalisation.
        std: Override the normalisation.
        interpolation: Override how pictures are resized.
        order: Override the order of colour channels, ``rgb`` or ``bgr``; ``mean`` and ``std`` are in this order.
        crop_pct: The share of a picture's side that the model sees, as in timm: pictures are resized to ``input_size /
            crop_pct`` and cut to the middle. By default the whole of their central square.
        crop_mode: What becomes of oblong pictures: by default their ``center`` is cut out; ``squash`` squeezes them.
        layout: ``channels_last`` for a model that takes pictures (N, H, W, C); it decides, too, where the shape of
            feature maps leaves it open which axis their channels are.
        output: Which of a model's outputs its features are, by name or by place from 0, where it has several.
        pooling: Of an encoder of texts, over the tokens: ``mean``, ``max``, ``cls`` (the first) or ``last``; by default
            what its files say (those of sentence-transformers), else the mean.
        layers: Of an encoder of texts, whose states are pooled: the ``last``, or the ``mean`` of all.
        max_length: How many tokens of a text are read at most.
        id_column: For embeddings: the column of ids, which the dataset's are joined with.
        training: Overrides of the training configuration, passed through untouched.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)
    #: Fields that came after runs had been recorded; see ``ncore.probe.settings.identity_of``.
    ADDED: ClassVar[Mapping[str, Any]] = dict.fromkeys(
        ("order", "crop_pct", "crop_mode", "layout", "output", "pooling", "layers", "max_length", "id_column")
    )

    source: str
    name: str = Field(default="", max_length=200)
    pretrained: bool = False
    weights: Path | None = None
    architecture: str | Factory | None = None
    kwargs: dict[str, Any] = {}
    remove: str | list[str] | None = None
    channels: Literal[1, 3] | None = None
    input_size: Annotated[int, Field(ge=8, le=4096)] | None = None
    mean: list[float] | None = None
    std: list[Annotated[float, Field(gt=0)]] | None = None
    interpolation: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"] | None = None
    order: Literal["rgb", "bgr"] | None = None
    crop_pct: Annotated[float, Field(gt=0.1, le=1)] | None = None
    crop_mode: Literal["center", "squash"] | None = None
    layout: Literal["channels_first", "channels_last"] | None = None
    output: Annotated[int, Field(ge=0)] | str | None = None
    pooling: Literal["mean", "max", "cls", "last"] | None = None
    layers: Literal["last", "mean"] | None = None
    max_length: Annotated[int, Field(ge=1)] | None = None
    id_column: str | None = None
    training: dict[str, Any] = {}

    @classmethod
    def parse(cls, spec: str | Mapping[str, Any] | CandidateSpec) -> CandidateSpec:
        """Read a string or a mapping.

        Raises:
            InputError: Says in one sentence what is wrong with it.

        Example:
            >>> CandidateSpec.parse("resnet-small").source
            'builtin:resnet-small'
            >>> CandidateSpec.parse({"source": "timm:resnet18", "input_size": 64}).pretrained
            True
        """
        return read_spec(cls, spec, "candidate")

    @model_validator(mode="before")
    @classmethod
    def _complete(cls, entry: Any) -> Any:
        """Fill in what follows from the source: its kind, whether it is pretrained, the label."""
        refuse_booleans(entry, cls)
        if not isinstance(entry, Mapping) or not isinstance(entry.get("source"), str):
            return entry
        entry = {key: value for key, value in entry.items() if value is not None}
        kind, rest = split_source(entry["source"])
        entry["source"] = f"{kind}:{rest}"
        given = "weights" in entry or kind == "file"
        entry.setdefault("pretrained", given or kind in DOWNLOADED)
        fresh = kind in DOWNLOADED and not entry["pretrained"]
        entry.setdefault("name", short_name(kind, rest) + ("-scratch" if fresh else ""))
        return entry

    @model_validator(mode="after")
    def _check(self) -> CandidateSpec:
        """Refuse combinations that mean nothing."""
        if (self.kind == "file") != (self.architecture is not None):
            needs = "file: needs `architecture`, the model to load the weights into"
            raise ValueError(needs if self.kind == "file" else "`architecture` belongs to file: sources only")
        if self.kind == "file" and self.weights is not None:
            raise ValueError("file: already names the weights, so `weights` must be left out")
        if isinstance(self.architecture, str) and split_source(self.architecture)[0] == "file":
            raise ValueError("the architecture of a file: cannot be a file: itself")
        if self.id_column and self.kind != "embeddings":
            raise ValueError(f"{self.kind} has no use for `id_column`")
        if self.kind in ("builtin", "python", "embeddings", "baseline") and self.pretrained and self.weights is None:
            raise ValueError(f"{self.kind}: has no weights to download, so `pretrained` needs `weights`")
        if not self.pretrained and (self.weights is not None or self.kind == "file"):
            raise ValueError("`pretrained: false` contradicts the weights given")
        return self

    @property
    def kind(self) -> str:
        """The part of the source before its first colon."""
        return self.source.partition(":")[0]


def split_source(source: str) -> tuple[str, str]:
    """Kind and rest of a source; a bare name is a built-in network.

    Raises:
        InputError: An unknown kind, an unknown built-in network, or nothing after the colon.
    """
    kind, colon, rest = source.strip().partition(":")
    if kind == "baseline":
        colon, rest = ":", rest or BASELINES[0]
        if rest not in BASELINES:
            raise unknown("a baseline", f"baseline:{rest}", [f"baseline:{known}" for known in BASELINES])
    if not colon:
        kind, rest = "builtin", kind
    if kind not in KINDS:
        raise unknown("a kind of candidate", kind, [f"{known}:" for known in KINDS])
    if kind == "builtin" and rest not in builtin.NAMES:
        raise unknown("a built-in network", rest, builtin.NAMES)
    if not rest or (kind == "python" and not all(rest.partition(":"))):
        form = "python:module:factory" if kind == "python" else f"{kind}:{'PATH' if kind in _FILES else 'NAME'}"
        raise InputError(f"the candidate {source!r} is incomplete: {form} was expected.")
    return kind, rest


def short_name(kind: str, rest: str) -> str:
    """Label of a source: a file's stem, a factory's function, the last part of a hub's name."""
    if kind == "baseline":
        return kind if rest == BASELINES[0] else f"{kind}-{rest}"
    if kind in _FILES:
        return Path(rest).stem
    return rest.rpartition(":")[2].rstrip("/").rpartition("/")[2]
