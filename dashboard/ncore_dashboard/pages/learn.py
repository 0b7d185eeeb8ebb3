"""Learn: lessons of a few screens on what neural capacitance is, why it falls, and when not to trust it."""

from __future__ import annotations

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from ncore_dashboard.learn import glossary, stage
from ncore_dashboard.learn.lessons.frame import Lesson, Question
from ncore_dashboard.learn.lessons.registry import lessons
from ncore_dashboard.parts import ui
from ncore_dashboard.state import session

LESSON, STEP = "learn-lesson", "learn-step"
_CHOSEN, _IN_URL = "lesson chosen", "lesson in url"
_ALL, _WORDS = "all", "glossary"


def page() -> None:
    """Lay out the page."""
    known = lessons()
    labels = {
        _ALL: "All lessons",
        **{name: f"{number}. {lesson.title}" for number, (name, lesson) in enumerate(known.items(), start=1)},
        _WORDS: "Glossary",
    }
    chosen, step = _take(list(labels))
    top, bar = st.container(), st.container(horizontal=True, vertical_alignment="bottom")
    bar.selectbox(
        "Lesson", list(labels), format_func=lambda each: labels.get(each, each), width=320, key=LESSON, on_change=_chose
    )
    with top:
        if chosen in known:
            ui.head(known[chosen].title, known[chosen].question)
        elif chosen == _WORDS:
            ui.head("Glossary", "What does this word mean?")
        else:
            ui.head("Learn", "What is neural capacitance, why does it fall, and when should one not trust it?")
    if chosen in known:
        step = _lesson(chosen, known[chosen], step, list(known), bar)
    elif chosen == _WORDS:
        glossary.words(sorted(glossary.TERMS))
    else:
        _overview(known)
    _publish(chosen, step if chosen in known else None)


def _overview(known: dict[str, Lesson]) -> None:
    minutes = sum(lesson.minutes for lesson in known.values())
    st.markdown(f"Each lesson is a few screens with one thing to change by hand; all together take {minutes} minutes.")
    for number, (name, lesson) in enumerate(known.items(), start=1):
        with st.container(border=True):
            st.markdown(
                f"**{number}. {lesson.title}** · {len(lesson.screens)} screens, {lesson.minutes} minutes\n\n"
                f"{lesson.question}"
            )
            st.button(
                "Begin",
                key=f"learn-begin-{name}",
                help=f"Begin the lesson “{lesson.title}”",
                on_click=_go,
                args=(name,),
            )


def _lesson(name: str, lesson: Lesson, step: int, order: list[str], bar: DeltaGenerator) -> int:
    """One screen, its question, the words on it, and the way on; the number of the screen."""
    steps = list(range(1, len(lesson.screens) + 1))
    step = session.one_of(step, steps, 1)
    st.session_state[STEP] = step
    bar.segmented_control("Screen", steps, required=True, key=STEP, on_change=_chose)
    screen = lesson.screens[step - 1]
    st.header(screen.title, anchor=False)
    glossary.text(screen.text)
    st.html(stage.NARROW)
    with st.container(key=stage.PICTURES):
        asked = ui.guarded(screen.show)()
    if asked is not None:
        _question(asked, f"learn-{name}-{step}-answer")
    with st.container(horizontal=True):
        st.button("Back", disabled=step == 1, icon=":material/arrow_back:", on_click=_go, args=(name, step - 1))
        if step < len(steps):
            st.button(
                "Next screen", type="primary", icon=":material/arrow_forward:", on_click=_go, args=(name, step + 1)
            )
        else:
            following = order[order.index(name) + 1] if name != order[-1] else _ALL
            words = "Next lesson" if following != _ALL else "All lessons"
            st.button(words, type="primary", icon=":material/arrow_forward:", on_click=_go, args=(following,))
    terms = glossary.terms_of(f"{screen.text} {asked.because if asked else ''}")
    if terms:
        st.divider()
        st.header("Words on this screen", anchor=False)
        glossary.words(terms)
    return step


@st.fragment
def _question(asked: Question, key: str) -> None:
    """The question; an answer does not draw the picture again."""
    with st.container(border=True, key=f"{key}-box"):
        # By place, so that an option whose text changes with the picture is no other option.
        given = st.radio(
            asked.text, range(len(asked.options)), None, lambda i: asked.options[i], key=f"{key}-{asked.text}"
        )
        if given == asked.right:
            glossary.text(f":material/check_circle: **Yes.** {asked.because}")
        elif given is not None:
            st.markdown(":material/replay: **Not quite.** Look at the picture again.")


def _chose() -> None:
    """Take what the widgets say; another lesson begins at its first screen."""
    name, step = st.session_state[LESSON], st.session_state.get(STEP, 1)
    _go(name, step if name == st.session_state[_CHOSEN][0] else 1)


def _go(name: str, step: int = 1) -> None:
    st.session_state[_CHOSEN] = name, step


def _take(names: list[str]) -> tuple[str, int]:
    """Lesson and screen as last chosen, or as a link says; not bound to widgets, whose labels would be in the URL."""
    given = st.query_params.get("lesson"), st.query_params.get("screen")
    if given[0] and given != st.session_state.get(_IN_URL):
        number = given[1] or "1"
        _go(given[0], int(number) if number.isascii() and number.isdigit() and len(number) < 4 else 1)
    name, step = st.session_state.get(_CHOSEN, (_ALL, 1))
    name = session.one_of(name, names, _ALL)
    st.session_state[_CHOSEN] = name, step
    st.session_state[LESSON] = name
    return name, step


def _publish(name: str, step: int | None) -> None:
    """Write lesson and screen to the URL, from where a change of page has removed them."""
    wanted = {"lesson": name if name != _ALL else None, "screen": str(step) if step else None}
    for parameter, value in wanted.items():
        if value is None and parameter in st.query_params:
            del st.query_params[parameter]
        elif value is not None and st.query_params.get(parameter) != value:
            st.query_params[parameter] = value
    st.session_state[_IN_URL] = wanted["lesson"], wanted["screen"]


page()
