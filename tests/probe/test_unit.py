"""The NCP unit: the same for every candidate, whatever else happens."""

import pytest
import torch
from torch import nn

import ncore
from ncore.errors import InputError


def test_four_dense_layers_by_default():
    unit = ncore.NCPUnit(512, classes=10)
    assert [m.out_features for m in unit if isinstance(m, nn.Linear)] == [256, 128, 64, 10]
    assert isinstance(unit[-1], nn.Linear)


def test_the_initialisation_depends_on_its_seed_only():
    torch.manual_seed(1)
    one, state = ncore.NCPUnit(8, 3, seed=5), torch.random.get_rng_state()
    torch.manual_seed(2)
    two, other = ncore.NCPUnit(8, 3, seed=5), ncore.NCPUnit(8, 3, seed=6)
    torch.manual_seed(1)
    assert torch.equal(state, torch.random.get_rng_state())
    for a, b in zip(one.parameters(), two.parameters(), strict=True):
        assert torch.equal(a, b)
    assert not torch.equal(one[0].weight, other[0].weight)


@pytest.mark.parametrize("activation", ["relu", "leaky_relu", "gelu", "silu", "tanh", "sigmoid", "elu", "softplus"])
def test_every_activation_has_a_capacitance(activation):
    unit = ncore.NCPUnit(8, 3, widths=(6, 6, 6), activation=activation, dropout=0.5, bias=False)
    x, y = torch.randn(32, 8), torch.randint(3, (32,))
    assert float(ncore.beta_eff(unit, x, y, loss=nn.CrossEntropyLoss())) > 0


def test_bad_widths_and_activations_are_named():
    with pytest.raises(InputError, match=r"\(8, 0, 3\)"):
        ncore.NCPUnit(8, 3, widths=(0,))
    with pytest.raises(InputError, match=r"'swish'.*relu"):
        ncore.NCPUnit(8, 3, activation="swish")
