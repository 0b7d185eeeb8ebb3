"""Encoders of texts: ``hf:ORG/NAME`` or ``hf:FOLDER`` of transformers, ``python:`` factories, built-in networks."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import Tensor, nn

from ncore.errors import InputError
from ncore.probe import builtin
from ncore.probe._choices import first_line
from ncore.probe.images import ImageShape
from ncore.probe.modalities.base import TextShape
from ncore.probe.modalities.texts import Text, TextInput, Tokenize
from ncore.probe.sources._offline import fetching, hub, require
from ncore.probe.sources._trust import own_code_refused, without_remote_code
from ncore.probe.sources.model_hf import ADVICE, OWN_CODE, PLACE, build, quiet
from ncore.probe.sources.model_python import call
from ncore.probe.sources.models import Loaded, Request

if TYPE_CHECKING:
    from ncore.probe.sources.candidate_spec import CandidateSpec

__all__ = ["MOST_TOKENS", "Encoder", "load", "pooled"]

MOST_TOKENS = 512
"""Of a text, where neither the recipe nor the model says less."""
Pooling = Literal["mean", "max", "cls", "last"]
# What sentence-transformers writes of a pooling, and what it is here.
_WRITTEN: dict[str, Pooling] = {
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_cls_token": "cls",
    "pooling_mode_lasttoken": "last",
}


class Encoder(nn.Module):
    """An encoder of transformers with its tokens pooled: from what ``TextInput`` gives to features (N, F).

    Args:
        model: Called with token numbers and the mask of those that are no padding.
        pooling: Over a text's tokens: their mean or maximum, the first, or the last.
        layers: Whose states are pooled: the last, or the mean of all.
        padding: The number of the token that pads.
        pairs: Whether it is told which of two texts a token is of.
    """

    def __init__(
        self, model: nn.Module, pooling: Pooling, layers: Literal["last", "mean"], padding: int, pairs: bool
    ) -> None:
        super().__init__()
        self.model = model
        self.pooling, self.layers, self.padding, self.pairs = pooling, layers, padding, pairs

    def forward(self, tokens: Tensor) -> Tensor:
        """Features of tokens (N, C, L)."""
        numbers = tokens[:, 0].long()
        mask = numbers > 0
        told: dict[str, Any] = {"token_type_ids": tokens[:, 1].long()} if self.pairs and tokens.shape[1] > 1 else {}
        if self.layers == "mean":
            told["output_hidden_states"] = True
        found = self.model(input_ids=torch.where(mask, numbers - 1, self.padding), attention_mask=mask.long(), **told)
        states = found.last_hidden_state if self.layers == "last" else torch.stack(found.hidden_states[1:]).mean(0)
        return pooled(states, mask, self.pooling)


def pooled(states: Tensor, mask: Tensor, pooling: Pooling) -> Tensor:
    """One vector a text of states (N, L, F) of its tokens, padding left out.

    Example:
        >>> states, mask = torch.tensor([[[1.0], [3.0], [9.0]]]), torch.tensor([[True, True, False]])
        >>> [float(pooled(states, mask, pooling)) for pooling in ("mean", "max", "cls", "last")]
        [2.0, 3.0, 1.0, 3.0]
    """
    if pooling == "cls":
        return states[:, 0]
    if pooling == "last":
        return states[torch.arange(len(states), device=states.device), mask.sum(1).clamp(min=1) - 1]
    if pooling == "max":
        return states.masked_fill(~mask[..., None], -torch.inf).amax(1)
    weight = mask[..., None].to(states.dtype)
    return (states * weight).sum(1) / weight.sum(1).clamp(min=1)


def load(spec: CandidateSpec) -> Loaded:
    """Build an encoder of texts, with its source's weights where they are asked for.

    Raises:
        InputError: The source has no encoders of texts, or this one can't be used.
        MissingExtraError: Transformers is not installed.
        OfflineError: The files are neither cached nor reachable.
    """
    name = spec.source.partition(":")[2]
    if spec.kind == "hf":
        return _from_transformers(spec, name)
    if spec.kind == "builtin" and name in builtin.TEXT:
        model = builtin.build(name, TextShape(), spec.kwargs)
        return _by_own_tokenizer(model, spec)
    if spec.kind == "python":
        module, _, function = name.partition(":")
        return _by_own_tokenizer(call(module, function, (), spec.kwargs, spec.source), spec)
    raise InputError(
        f"{spec.name} takes pictures, but the dataset holds texts: use an encoder with `hf:`, a `python:` factory, or "
        f"one of {', '.join(builtin.TEXT)}."
    )


def _by_own_tokenizer(model: nn.Module, spec: CandidateSpec) -> Loaded:
    """A module that brings its tokenizer, takes tokens (N, C, L) and gives features."""
    tokenizer = getattr(model, "tokenizer", None)
    if not callable(tokenizer) or not isinstance(getattr(tokenizer, "vocabulary", None), int):
        raise InputError(
            f"{spec.name} has no `tokenizer`, which for texts is a function of your module's, from a list of texts to "
            "their lists of token numbers, with the attribute `vocabulary`, how many there are."
        )

    def tokenize(texts: Sequence[Text], most: int) -> tuple[list[list[int]], None, int]:
        found = [list(own) for own in tokenizer([" ".join(parts) for parts in texts])]
        return [own[:most] for own in found], None, sum(len(own) > most for own in found)

    return Loaded(model, takes=TextInput(tokenize, spec.max_length or MOST_TOKENS, int(tokenizer.vocabulary)))


def _from_transformers(spec: CandidateSpec, name: str) -> Loaded:
    label = spec.source
    kwargs = without_remote_code(spec.kwargs, label, OWN_CODE)
    transformers = require("transformers", "hf", f"the candidate {label}")
    place = {key: kwargs.pop(key) for key in PLACE if key in kwargs}
    folder = Path(name).expanduser()
    where = str(folder) if folder.is_dir() else name
    warnings: list[str] = []
    pretrained = spec.pretrained and spec.weights is None
    request = Request(name, label, kwargs, pretrained, None, ImageShape(3, 32))
    fetched = fetching(label, "the hub", ADVICE) if folder.is_dir() else hub(label, ADVICE)
    with fetched, quiet(transformers), own_code_refused(label, OWN_CODE):
        config = transformers.AutoConfig.from_pretrained(where, trust_remote_code=False, **place, **kwargs)
        if not hasattr(config, "vocab_size"):
            raise InputError(f"{label} is a {type(config).__name__}, which takes no texts: use an encoder of texts.")
        config.return_dict = True
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(where, trust_remote_code=False, **place)
        except (OSError, ValueError, ImportError) as error:
            if _own_code_needed(error):
                raise
            raise InputError(
                f"{label} comes without a tokenizer that can be read ({first_line(error)}): put its files beside it."
            ) from error
        if not config.vocab_size / 2 <= len(tokenizer) <= config.vocab_size:
            raise InputError(
                f"the tokenizer of {label} has {len(tokenizer)} tokens, but the model {config.vocab_size}: put the "
                "files of its own tokenizer beside it."
            )
        model = build(transformers.AutoModel, where, config, request, warnings, place)
        if getattr(config, "is_encoder_decoder", False):
            model = model.get_encoder()  # type: ignore[operator]
        written = _written_pooling(transformers, where, place, warnings, label)
    if hasattr(model, "pooler"):
        setattr(model, "pooler", None)  # noqa: B010 - what is pooled here does not pass through it
    pooling = spec.pooling or written or "mean"
    padding = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else 0
    pairs = "token_type_ids" in tokenizer.model_input_names
    most = _most_tokens(tokenizer, config, transformers, where, place)
    if spec.max_length and spec.max_length > most:
        raise InputError(
            f"`max_length` of {spec.name} is {spec.max_length}, but the model reads {most} tokens at most."
        )
    takes = TextInput(_tokenize(tokenizer), spec.max_length or min(most, MOST_TOKENS), int(config.vocab_size))
    return Loaded(Encoder(model, pooling, spec.layers or "last", padding, pairs), warnings=warnings, takes=takes)


def _own_code_needed(error: BaseException) -> bool:
    """Whether transformers says that it would run code that came with a download."""
    return "trust_remote_code" in str(error)


def _tokenize(tokenizer: Any) -> Tokenize:
    """With the model's own tokenizer and the tokens that it puts around a text."""

    def tokenize(texts: Sequence[Text], most: int) -> tuple[list[list[int]], list[list[int]] | None, int]:
        parts = list(map(list, zip(*texts, strict=True)))
        whole = tokenizer(*parts, padding=False, truncation=False, verbose=False)
        found = list(whole["input_ids"])
        which = list(whole["token_type_ids"]) if len(parts) > 1 and "token_type_ids" in whole else None
        long = [row for row, own in enumerate(found) if len(own) > most]
        if long:
            few = [[column[row] for row in long] for column in parts]
            short = tokenizer(*few, padding=False, truncation=True, max_length=most, verbose=False)
            for at, row in enumerate(long):
                found[row] = short["input_ids"][at]
                if which is not None:
                    which[row] = short["token_type_ids"][at]
        return found, which, len(long)

    return tokenize


def _most_tokens(tokenizer: Any, config: Any, transformers: Any, where: str, place: Mapping[str, Any]) -> int:
    """The most tokens that a model reads: what its authors say, or what its positions last for."""
    said = [_json(transformers, where, "sentence_bert_config.json", place).get("max_seq_length")]
    said.append(tokenizer.model_max_length)
    if positions := getattr(config, "max_position_embeddings", None):
        offset = config.pad_token_id + 1 if config.model_type in _AFTER_PADDING and config.pad_token_id else 0
        said.append(positions - offset)
    return min(int(one) for one in said if isinstance(one, int | float) and one > 0)


_AFTER_PADDING = ("roberta", "xlm-roberta", "camembert", "longformer", "mpnet", "xlm-roberta-xl", "data2vec-text")
"""Models whose positions are counted from behind the padding token."""


def _written_pooling(
    transformers: Any, where: str, place: Mapping[str, Any], warnings: list[str], label: str
) -> Pooling | None:
    """What the files of sentence-transformers beside a model say of its pooling; None if they say nothing.

    What they say and is not followed goes to ``warnings``.
    """
    written = _json(transformers, where, "1_Pooling/config.json", place)
    named = [own for key, own in _WRITTEN.items() if written.get(key)]
    others = [key for key, value in written.items() if key.startswith("pooling_mode_") and value is True]
    if len(others) > 1 or set(others) - set(_WRITTEN):
        warnings.append(
            f"The authors of {label} pool by {' and '.join(others)}, which is not followed: the mean of its tokens is "
            "taken, unless the recipe says `pooling`."
        )
        return None
    return named[0] if named else None


def _json(transformers: Any, where: str, file: str, place: Mapping[str, Any]) -> dict[str, Any]:
    """A small file of a checkpoint; empty if it has none."""
    found = transformers.utils.cached_file(
        where, file, _raise_exceptions_for_missing_entries=False, _raise_exceptions_for_connection_errors=False, **place
    )
    try:
        read = json.loads(Path(found).read_text("utf-8")) if found else {}
    except (OSError, ValueError):
        return {}
    return read if isinstance(read, dict) else {}
