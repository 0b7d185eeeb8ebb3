"""Every screen of every lesson can be gone through; what the questions call right is right."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd
import pytest
from ncore_dashboard.learn.figures import line_graph
from ncore_dashboard.learn.lessons import collapse, limits, synapses
from ncore_dashboard.learn.lessons.registry import NAMES, lessons
from ncore_dashboard.learn.playground.engine import Training
from streamlit.testing.v1 import AppTest

from ncore.network.dynamics import mutualistic, reduced_equilibria

SCREENS = [(name, screen) for name in NAMES for screen in range(1, len(lessons()[name].screens) + 1)]


@pytest.mark.parametrize(("name", "screen"), SCREENS)
def test_a_screen_asks_what_its_picture_answers(app: Callable[..., AppTest], name: str, screen: int) -> None:
    page = app(page="learn", lesson=name, screen=str(screen))
    assert not any(wrong in said(page) for wrong in ("can't be shown", "In this view", "failed"))
    (question,) = page.radio
    assert [answered(page, number) for number in range(len(question.options))].count(True) == 1


def said(page: AppTest) -> str:
    return " ".join(each.value for each in page.markdown)


def answered(page: AppTest, number: int) -> bool:
    """Whether this answer is called right."""
    page.radio[0].set_value(number).run()
    assert "**Yes.**" in said(page) or "**Not quite.**" in said(page)
    return "**Yes.**" in said(page)


def test_the_meadow_recovers_only_where_one_state_of_rest_is_left() -> None:
    _, points, tipping = collapse.meadow()
    for beta, state in points[["beta_eff", "x_eff"]].itertuples(index=False):
        states = reduced_equilibria(mutualistic(), beta)
        if abs(beta - tipping) > 0.8:  # nearer, the whole network may differ from the one equation
            assert (state > 1) == (states["stable"].sum() == 1)
    assert points["x_eff"].iloc[0] > 1 > points["x_eff"].iloc[-1]


def test_a_town_is_healthy_beyond_the_threshold_and_not_before() -> None:
    path = collapse.town(0.3)
    far = np.abs(path["beta_eff"] * 0.3 - collapse.RECOVERY) > 0.3
    infected = path["x_eff"] > 0.01
    assert (infected == (path["beta_eff"] * 0.3 > collapse.RECOVERY))[far].all()
    assert infected.any()
    assert not infected.all()


@pytest.mark.parametrize("kind", sorted(collapse.DAMAGES))
def test_damaged_networks_stay_near_the_one_curve(kind: str) -> None:
    _, points, _ = collapse.damaged(kind)
    for beta, state in points[["beta_eff", "x_eff"]].itertuples(index=False):
        on_curve = reduced_equilibria(mutualistic(), beta).query("stable")["x"].max()
        assert state == pytest.approx(on_curve, rel=0.08)


def test_roles_are_the_entries_of_the_line_graph() -> None:
    _, table, found, _ = synapses.interactions()
    edges = found[0]
    for chosen in range(len(table)):
        roles = pd.Series(line_graph.roles(table, chosen))
        drivers = set(edges.loc[edges["driven"] == chosen, "driver"])
        driven = set(edges.loc[edges["driver"] == chosen, "driven"])
        assert set(roles.index[roles == line_graph.DRIVER]) == drivers
        assert set(roles.index[roles == line_graph.DRIVEN]) == driven


def test_interactions_fade_and_beta_eff_is_the_mean_that_the_lesson_says() -> None:
    _, _, found, numbers = synapses.interactions()
    last = synapses.STEPS[-1]
    assert found[last]["strength"].sum() < 0.2 * found[0]["strength"].sum()
    into, out = synapses.first_degrees()
    assert (into @ out) / into.sum() == pytest.approx(numbers[0][1])


def test_the_hessian_is_that_of_autograd() -> None:
    import torch

    training = Training(limits.DATA, limits.SETUP)
    training.advance(100)
    network = training.network
    inputs, targets = (torch.as_tensor(each) for each in (training.passed().states[0], training.points.train_targets))
    biases = [torch.as_tensor(bias) for bias in network.biases]
    sizes = [w.size for w in network.weights]

    def loss(flat: torch.Tensor) -> torch.Tensor:
        z = inputs
        for number, (part, bias) in enumerate(zip(flat.split(sizes), biases, strict=True)):
            z = z @ part.reshape(network.weights[number].shape).T + bias
            z = torch.tanh(z) if number < len(sizes) - 1 else z
        return torch.nn.functional.binary_cross_entropy_with_logits(z[:, 0], targets.double())

    flat = torch.as_tensor(np.concatenate([w.ravel() for w in network.weights]))
    wanted = torch.autograd.functional.hessian(loss, flat).numpy()
    np.testing.assert_allclose(limits.hessian(training), wanted, atol=1e-6)


def test_interactions_vanish_from_the_hessian() -> None:
    _, found = limits.curvatures()
    shares = [np.abs(part).sum() / np.abs(whole).sum() for whole, part, _ in found.values()]
    assert shares[-1] < 0.01 < 0.2 < shares[0]


def test_only_uneven_networks_mislead_the_one_equation() -> None:
    off = {name: (limits.epidemics(name).eval("x_eff - x_reduced").abs().max()) for name in limits.NETWORKS}
    assert off["all alike"] < 0.01
    assert off["links at random"] < 0.05
    assert off["a star"] > 0.5


def test_values_jump_where_signs_cancel() -> None:
    table = limits.cancelling(1)
    poor = table["conditioning"] < limits.POOR
    assert table.loc[poor, "signed"].abs().max() > 5 * table.loc[~poor, "signed"].abs().max()
