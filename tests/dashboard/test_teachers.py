"""Answers of exercises agree with what one gets by hand; the page shows all of them, and its links open."""

from __future__ import annotations

import itertools
import math
import re
from collections.abc import Callable

import pytest
from ncore_dashboard.learn.exercises import exercises
from ncore_dashboard.learn.lessons.registry import NAMES, lessons
from streamlit.testing.v1 import AppTest

SEEDS = range(12)


def numbers(text: str) -> list[float]:
    return [float(found.replace(",", "")) for found in re.findall(r"\d[\d,]*\.?\d*", text)]


def solved(seed: int) -> dict[str, tuple[str, tuple[float, ...]]]:
    return {each.title: (each.task, each.answer) for each in exercises(seed)}


@pytest.mark.parametrize("seed", SEEDS)
def test_answers_by_hand(seed: int) -> None:
    found = solved(seed)
    task, answer = found["A star"]
    leaves = int(numbers(task)[0])
    assert answer == pytest.approx(((leaves**2 + leaves) / (2 * leaves),))

    task, answer = found["An infection"]
    beta, recovery, rate = numbers(task)[:3]
    assert answer == pytest.approx((recovery / beta, 1 - recovery / (beta * rate)), abs=1e-6)

    task, answer = found["Counting"]
    widths = [int(n) for n in re.search(r"[\d-]+(?= neurons)", task)[0].split("-")]  # type: ignore[index]
    vertices = sum(a * b for a, b in itertools.pairwise(widths))
    edges = sum(a * b * c for a, b, c in zip(widths, widths[1:], widths[2:], strict=False))
    assert answer == (vertices, edges)

    task, answer = found["Three synapses in a row"]
    z0, z1, d2, d3 = (int(re.search(rf"{name} = (\d+)", task)[1]) for name in ("z_0", "z_1", "delta_2", "delta_3"))  # type: ignore[index]
    first, second = z0 * d2, z1 * d3
    assert answer == pytest.approx((first * second / (first + second),))

    task, answer = found["How exact is a test?"]
    share, images = numbers(task)[:2]
    assert answer[0] == pytest.approx(math.sqrt(share * (100 - share) / images))

    task, answer = found["Kendall's tau"]
    places = [int(n) for n in re.search(r"predicted on places ([\d, ]+)\.", task)[1].split(",")]  # type: ignore[index]
    wrong = sum(a > b for a, b in itertools.combinations(places, 2))
    assert answer == pytest.approx((wrong, (10 - 2 * wrong) / 10))


def test_solutions_hold_their_answers() -> None:
    for seed in SEEDS:
        for exercise in exercises(seed):
            said = numbers(exercise.solution)
            for answer in exercise.answer:
                close = [number for number in said if number == pytest.approx(abs(answer), rel=0.02, abs=0.006)]
                percent = [number for number in said if number == pytest.approx(100 * abs(answer), rel=0.02)]
                assert close or percent, (exercise.title, answer, exercise.solution)


def test_a_class_has_its_own_numbers() -> None:
    assert exercises(1) == exercises(1)
    assert exercises(1) != exercises(2)
    assert {each.lesson for each in exercises(1)} <= set(NAMES)


def test_the_page(app: Callable[..., AppTest]) -> None:
    page = app(page="teachers", teachers_class="7")
    said = " ".join(each.value for each in page.markdown)
    for exercise in exercises(7):
        assert exercise.task in said
        assert exercise.solution in said
    for name, lesson in lessons().items():
        assert f"[{lesson.title}](/learn?lesson={name})" in said
    page.selectbox("teachers-lesson").select("judging").run()
    page.segmented_control("teachers-screen").set_value(2).run()
    assert "/learn?lesson=judging&screen=2" in page.code[0].value
