"""For teachers: a plan for a lesson, exercises with their solutions, and links for a class."""

from __future__ import annotations

from urllib.parse import urlencode

import streamlit as st

from ncore_dashboard.learn.exercises import exercises
from ncore_dashboard.learn.lessons.registry import lessons
from ncore_dashboard.parts import ui
from ncore_dashboard.state import session

_PLAN = (
    ("collapse", "All together: each group removes pollinators until its meadow fails, and writes down beta_eff."),
    ("synapses", "In pairs: one chooses a synapse, the other says who drives it before the picture does."),
    ("training", "One projector: guess first what the loss and the synapses do, then step."),
    ("forecast", "In pairs: find the epoch from which the line can be trusted, in the case that misleads."),
    ("judging", "All together: vote on the candidate after one epoch, then look at the regret."),
    ("limits", "For those who are quick, or for a second visit."),
)


def page() -> None:
    """Lay out the page."""
    ui.head("For teachers", "How do I teach this, and what do I hand out?")
    known = lessons()
    ui.section("A plan for half an hour", "For a class that knows slopes of curves; no programming is needed.")
    minutes = 0
    rows = []
    for name, how in _PLAN:
        lesson = known[name]
        span = f"{minutes}–{minutes + lesson.minutes}" if name != "limits" else "later"
        minutes += lesson.minutes if name != "limits" else 0
        rows.append(f"| {span} | [{lesson.title}]({_link('learn', lesson=name)}) | {lesson.question} | {how} |")
    st.markdown("\n".join(["| Minute | Lesson | What one can answer after it | How |", "|---|---|---|---|", *rows]))
    st.caption(f"{minutes} minutes; in between, the playground: give each group another learning rate.")

    ui.section(
        "Exercises",
        "With the same number everybody has the same exercises; another number changes the values in them.",
    )
    seed = int(st.number_input("Number of the class", 0, 9999, 1, width=200, **session.setting("teachers-class")) or 0)
    for number, exercise in enumerate(exercises(seed), start=1):
        with st.container(border=True):
            st.markdown(f"**{number}. {exercise.title}** · {known[exercise.lesson].title}\n\n{exercise.task}")
            with st.expander("Solution"):
                st.markdown(exercise.solution)

    ui.section(
        "A link for a class",
        "A link opens the same screen or the same network, trained from the same first weights, in every browser.",
    )
    name = st.selectbox(
        "Lesson",
        list(known),
        format_func=lambda each: known[each].title if each in known else each,
        width=360,
        **session.setting("teachers-lesson"),
    )
    name = session.one_of(name, list(known), next(iter(known)))
    screens = range(1, len(known[name].screens) + 1)
    screen = st.segmented_control(
        "Screen", list(screens), default=1, required=True, **session.setting("teachers-screen")
    )
    screen = session.one_of(screen, list(screens), 1)
    st.code(_address(_link("learn", lesson=name, screen=str(screen))), language=None)
    st.markdown(
        "For the **playground**: choose data, layers, learning rate and seed there, train to where the class is to "
        "begin, and copy the address from the browser; every setting is in it. Exercises: the address of this page "
        "has the number of the class."
    )
    st.caption(
        "Others in the room can open these links if the dashboard runs where they can reach it: "
        "`ncore dashboard --public`, behind a login."
    )


def _link(place: str, **parameters: str) -> str:
    return f"/{place}?{urlencode(parameters)}"


def _address(link: str) -> str:
    """The whole address, as far as the server knows it."""
    from urllib.parse import urlsplit

    parts = urlsplit(st.context.url or "")
    return f"{parts.scheme}://{parts.netloc}{link}" if parts.netloc else link


page()
