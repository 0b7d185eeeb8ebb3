"""What is on the page, frame by frame: charts and numbers change while Streamlit draws one small element.

A rerun of the page for each frame would have Streamlit lay out every element anew, several times a second.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import streamlit as st

from ncore_dashboard.charts.live import Picture

__all__ = ["Frame", "show"]

# A few frames come at a time, because what Streamlit does around each answer takes longer than a frame itself. The next
# ones are asked for when two of these are left, so that they are computed meanwhile; a timer alone would ask faster
# than a busy machine can draw, and a click on Pause would wait behind all those frames.
_FILM = """
const find = (name, key) => document.querySelector(`.${name}[data-key="${key}"]`);

const show = ({ frame, pictures, numbers }) => {
  for (const picture of pictures) find("ncore-live", picture.key)?.ncoreShow({ ...picture, frame, moving: true });
  for (const [key, values] of Object.entries(numbers)) find("ncore-numbers", key)?.ncoreSay(values);
};

const drawing = (frame) =>
  [...document.querySelectorAll(".ncore-live")].some((box) => box.ncoreSeen && !(Number(box.dataset.frame) >= frame));

const go = (film) => {
  clearTimeout(film.timer);
  const now = performance.now();
  const rest = film.due - now;
  if (film.running && (rest > 0 || (drawing(film.shown) && rest > -5000))) {
    film.timer = setTimeout(go, Math.max(rest, 5), film);
    return;
  }
  const next = film.waiting.shift();
  if (next) {
    show(next);
    film.shown = next.frame;
    film.due = Math.max(film.due, now - film.every) + film.every;
  }
  const wanted = film.asked !== film.frame || now - film.askedAt > 10000;  // an answer can be lost
  if (film.running && film.waiting.length <= 2 && wanted) {
    Object.assign(film, { asked: film.frame, askedAt: now });
    film.ask(film.frame);
  }
  if (film.waiting.length) go(film);
  else if (film.running) film.timer = setTimeout(go, 1000, film);
};

export default function ({ parentElement, data, setTriggerValue }) {
  const film = (parentElement.ncoreFilm ??= { waiting: [], due: -Infinity, shown: -1, frame: -1 });
  film.ask = (frame) => setTriggerValue("next", frame);
  if (film.frame !== data.frame) {
    const { frames, frame, running, every } = data;
    // Without frames the charts have just been drawn anew: what waited is out of date.
    film.waiting = frames.length ? [...film.waiting, ...frames] : [];
    Object.assign(film, { frame, running, every });
  }
  go(film);
  return () => clearTimeout(film.timer);
}
"""


@dataclass(frozen=True)
class Frame:
    """The next state of what is on the page.

    Attributes:
        number: Of the frame, larger than the one before.
        pictures: Charts, as they are then.
        numbers: By key, as they are then.
    """

    number: int
    pictures: Sequence[Picture]
    numbers: Mapping[str, Mapping[str, str]]

    def sent(self) -> dict[str, Any]:
        """What the browser gets of it."""
        return {
            "frame": self.number,
            "pictures": [picture.sent() for picture in self.pictures],
            "numbers": {key: dict(values) for key, values in self.numbers.items()},
        }


def show(
    frames: Sequence[dict[str, Any]], running: bool, frame: int, on_next: Callable[[], None], every: float = 0.08
) -> None:
    """The next frames of charts and numbers that are on the page, and the wish for more. To be called in a fragment.

    Args:
        frames: What :meth:`Frame.sent` gave, in order; none of them if the charts have just been drawn.
        running: Whether there are to be more.
        frame: Number of the last one.
        on_next: Called before the fragment is run for more.
        every: Seconds from one frame to the next, at least.
    """
    component = st.components.v2.component("ncore_film", js=_FILM)
    component(
        key="live-film",
        data={"frames": list(frames), "running": running, "frame": frame, "every": 1000 * every},
        height="content",
        on_next_change=on_next,
    )
