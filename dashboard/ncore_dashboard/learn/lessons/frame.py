"""What a lesson is made of: screens, each with one thing to change, a picture, and one question that it answers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["Lesson", "Question", "Screen"]


@dataclass(frozen=True)
class Question:
    """A question with answers to choose from.

    Attributes:
        text: The question.
        options: Answers, as Markdown; the right one among them.
        right: Its place, from 0.
        because: Why, in a sentence or two that point at the picture; Markdown with ``[[terms]]``.
    """

    text: str
    options: tuple[str, ...]
    right: int
    because: str

    def __post_init__(self) -> None:
        if not 0 <= self.right < len(self.options) or len(set(self.options)) < len(self.options):
            raise ValueError(f"The question {self.text!r} needs options that differ, and the place of the right one.")


@dataclass(frozen=True)
class Screen:
    """One screen of a lesson.

    Attributes:
        title: A few words.
        text: What to do and where to look; Markdown with formulas as ``$x$`` and ``[[terms]]`` of the glossary.
        show: Draws the one control and the picture, and gives the question, whose right answer may be computed from
            what was drawn. It must be answerable from the picture alone.
    """

    title: str
    text: str
    show: Callable[[], Question]


@dataclass(frozen=True)
class Lesson:
    """A lesson.

    Attributes:
        title: A few words.
        question: What one can answer after it.
        minutes: That it takes.
        screens: In order; each is a step in the URL, from 1.
    """

    title: str
    question: str
    minutes: int
    screens: tuple[Screen, ...]
