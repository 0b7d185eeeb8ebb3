"""Tags and notes of a run, in a file of their own, so that the manifest has one writer still."""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from ncore._validation import described, text
from ncore.errors import InputError
from ncore.store._folder import Folder, LocalFolder
from ncore.store.damage import DamagedFileError
from ncore.store.layout import ANNOTATIONS
from ncore.store.manifest import NOTES

__all__ = ["TAG", "TAGS", "Annotations", "read_annotations", "write_annotations"]

TAG, TAGS = 100, 100
"""Characters that a tag may have, and tags that a run may."""

_MOST_BYTES = 8 << 20
_NOTHING_LOST = "the run itself"

_Tag = Annotated[str, StringConstraints(min_length=1, max_length=TAG)]


class Annotations(BaseModel):
    """What people wrote down about a run.

    Attributes:
        tags: Ascending, each once.
        notes: Free text; None where nobody wrote any here, and those of the manifest count.
    """

    model_config = ConfigDict(frozen=True)

    format: Literal["ncore-annotations"] = "ncore-annotations"
    tags: Annotated[tuple[_Tag, ...], Field(max_length=TAGS)] = ()
    notes: Annotated[str, StringConstraints(max_length=NOTES)] | None = None


_NONE = Annotations()


def read_annotations(folder: Folder) -> Annotations:
    """Those of a run.

    Args:
        folder: Of the run.

    Raises:
        DamagedFileError: The file is there, but is not what ncore writes.
        StoreError: It can't be read.
    """
    if isinstance(folder, LocalFolder) and not os.path.lexists(os.path.join(folder.root, ANNOTATIONS)):
        return _NONE  # as for most of the runs of a listing, so at the price of one look
    where = folder.name_of(ANNOTATIONS)
    try:
        data = folder.read(ANNOTATIONS, _MOST_BYTES)
    except FileNotFoundError:
        return _NONE
    try:
        return Annotations.model_validate_json(data)
    except ValidationError as error:
        raise DamagedFileError(where, "corrupt", described(error, Annotations), _NOTHING_LOST) from error


def write_annotations(folder: Folder, tags: Sequence[str] | None, notes: str | None) -> Annotations:
    """Replace the tags, the notes, or both; None leaves what is there. Of two at once, the last one counts.

    Args:
        folder: Of the run.
        tags: All that the run shall have.
        notes: Free text.

    Raises:
        InputError: Too many or too long, or no text.
        StoreError: The file can't be read or written.
    """
    if isinstance(tags, str):
        raise InputError(f"The tags are {tags!r}, but a list of them is needed: [{tags!r}].")
    former = read_annotations(folder)
    wanted = former.tags if tags is None else tuple(sorted({_tag(tag) for tag in tags}))
    if len(wanted) > TAGS:
        raise InputError(f"There are {len(wanted)} tags, but a run can have {TAGS}: put the rest into its notes.")
    noted = former.notes if notes is None else text(notes, "text of the notes", NOTES)
    made = Annotations(tags=wanted, notes=noted)
    folder.write(ANNOTATIONS, json.dumps(made.model_dump(mode="json"), ensure_ascii=False).encode())
    return made


def _tag(tag: str) -> str:
    stripped = " ".join(text(tag, "tag", TAG).split())
    if not stripped:
        raise InputError(f"A tag is {tag!r}, but it needs a letter at least.")
    return stripped
