"""The page Learn: its lessons, its address, its words."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ncore_dashboard.learn import glossary
from ncore_dashboard.learn.lessons import training
from ncore_dashboard.learn.lessons.frame import Question
from ncore_dashboard.learn.lessons.registry import NAMES, lessons
from streamlit.testing.v1 import AppTest

from ncore.store import create_store

App = Callable[..., AppTest]


@pytest.fixture
def learn(app: App, tmp_path: Path) -> Callable[..., AppTest]:
    """Open the page with parameters in the URL."""
    create_store(tmp_path)

    def opened(**parameters: str) -> AppTest:
        return app(tmp_path, page="learn", **parameters)

    return opened


def words(test: AppTest) -> str:
    kinds = (test.markdown, test.title, test.header, test.subheader)
    return "\n".join(str(element.value) for kind in kinds for element in kind)


def press(test: AppTest, label: str) -> AppTest:
    return next(button for button in test.button if button.label == label).click().run()


def address(test: AppTest) -> dict[str, Any]:
    return {name: test.query_params[name] for name in ("lesson", "screen") if name in test.query_params}


def first(value: Any) -> str:
    return str(value[0] if isinstance(value, list) else value)


def test_the_overview_has_all_lessons_and_opens_them(learn: Callable[..., AppTest]) -> None:
    test = learn()
    assert not test.exception
    for lesson in lessons().values():
        assert lesson.title in words(test)
        assert lesson.question in words(test)
    assert address(test) == {}
    number = list(NAMES).index("training")
    test = [button for button in test.button if button.label == "Begin"][number].click().run()
    assert test.title[0].value == "Training as dynamics"
    assert {name: first(value) for name, value in address(test).items()} == {"lesson": "training", "screen": "1"}


def test_one_goes_on_and_back_and_the_address_follows(learn: Callable[..., AppTest]) -> None:
    test = learn(lesson="training", screen="3")
    assert "beta_eff falls with the errors" in words(test)
    test = press(test, "Next screen")
    assert "A low beta_eff is no proof" in words(test)
    assert first(address(test)["screen"]) == "4"
    assert "Next screen" not in {button.label for button in test.button}
    test = press(press(test, "Back"), "Back")
    assert "Synapses come to rest" in words(test)
    assert first(address(test)["screen"]) == "2"


def test_the_last_lesson_leads_back_to_all(learn: Callable[..., AppTest]) -> None:
    last = NAMES[-1]
    test = learn(lesson=last, screen=str(len(lessons()[last].screens)))
    test = press(test, "All lessons")
    assert test.title[0].value == "Learn"
    assert address(test) == {}


@pytest.mark.parametrize(
    ("lesson", "screen", "title"),
    [
        ("cheating", "2", "Learn"),
        ("training", "99", "Training as dynamics"),
        ("training", "<b>", "Training as dynamics"),
        ("glossary", "7", "Glossary"),
        ("../app", "1", "Learn"),
    ],
    ids=["unknown", "beyond", "no-number", "glossary", "path"],
)
def test_any_address_opens_something(learn: Callable[..., AppTest], lesson: str, screen: str, title: str) -> None:
    test = learn(lesson=lesson, screen=screen)
    assert not test.exception
    assert test.title[0].value == title
    assert title != "Training as dynamics" or "Step by step" in words(test)


def test_a_chosen_lesson_is_still_open_after_another_page(learn: Callable[..., AppTest]) -> None:
    test = learn(lesson="training", screen="2")
    test = test.switch_page("../pages/runs.py").run()
    test = test.switch_page("../pages/learn.py").run()
    assert "Synapses come to rest" in words(test)
    assert first(address(test)["screen"]) == "2"


def test_a_wrong_answer_sends_back_to_the_picture_and_the_right_one_says_why(learn: Callable[..., AppTest]) -> None:
    test = learn(lesson="training", screen="2")
    test = test.radio[0].set_value(0).run()
    assert "Not quite." in words(test)
    test = test.radio[0].set_value(1).run()
    assert "**Yes.**" in words(test)
    assert "Not quite." not in words(test)


def test_training_by_hand(learn: Callable[..., AppTest]) -> None:
    test = learn(lesson="training")
    for label, step in (("1 step", "1"), ("10 steps", "11"), ("100 steps", "111"), ("Reset", "0")):
        test = press(test, label)
        assert test.metric[0].value == step


def test_every_link_in_a_text_leads_to_a_definition_on_the_same_page(learn: Callable[..., AppTest]) -> None:
    for name, lesson in lessons().items():
        for screen in range(1, len(lesson.screens) + 1):
            test = learn(lesson=name, screen=str(screen))
            linked = set(re.findall(r"\]\(#(word-[a-z0-9-]+)\)", words(test)))
            defined = {header.anchor for header in test.subheader}
            assert linked <= defined, (name, screen)


def test_the_glossary_has_every_term_once_with_links_that_lead_somewhere(learn: Callable[..., AppTest]) -> None:
    test = learn(lesson="glossary")
    assert [header.value for header in test.subheader] == sorted(glossary.TERMS)
    anchors = [glossary.anchor(term) for term in glossary.TERMS]
    assert len(set(anchors)) == len(anchors)
    for definition in glossary.TERMS.values():
        assert set(glossary.terms_of(definition)) <= set(glossary.TERMS)
        assert definition.strip()[-1] in ".$"


def test_an_unknown_term_is_a_mistake() -> None:
    with pytest.raises(KeyError, match="no term 'quark'"):
        glossary.linked("a [[quark]]")


def test_a_question_needs_one_right_answer_among_different_ones() -> None:
    with pytest.raises(ValueError, match="differ"):
        Question("Which?", ("a", "a"), 0, "")
    with pytest.raises(ValueError, match="place of the right one"):
        Question("Which?", ("a", "b"), 2, "")


def test_what_the_lesson_on_training_says_is_so() -> None:
    course = {step: training.moment(step) for step in training.TIMES}
    losses = [course[step].now().train_loss for step in training.TIMES]
    assert losses == sorted(losses, reverse=True)
    speeds = {step: max(float(np.abs(rate).max()) for rate in each.rates()) for step, each in course.items()}
    assert max(speeds.values()) > 5 * speeds[training.LAST]
    assert np.abs(np.concatenate([w.ravel() for w in course[training.LAST].network.weights])).max() > 1
    kept = {name: training.kept(training.moment(training.LAST, rate)) for name, rate in training.RATES.items()}
    accuracy = {name: training.moment(training.LAST, rate).accuracy()[0] for name, rate in training.RATES.items()}
    tiny, good, huge = training.RATES
    assert kept[tiny] > 0.9
    assert kept[good] < 0.1
    assert kept[huge] < 0.1
    assert accuracy[good] > 0.95 > 0.75 > max(accuracy[tiny], accuracy[huge])
    slopes = training.moment(training.LAST, training.RATES[huge]).passed().slopes
    assert max(float(slope.mean()) for slope in slopes) < 0.1  # saturated
