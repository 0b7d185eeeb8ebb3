"""Training as a dynamical system of its synapses: the flow dw/dt = F(w), and how recorded training keeps to it.

A ``Landscape`` is the loss of a small network as a function of all its weights. ``gradient_flow``, ``heavy_ball`` and
``momentum_flow`` integrate the equation of training, ``descend`` takes its steps, and ``part_ways`` says where they
part. ``effective_path`` holds the one-dimensional equation of the effective state x_eff against recorded weights.
``convergence`` has the speed, curvature and rank of layers, ``prune`` the accuracy of sparse sub-networks. Weights are
arrays in and arrays out: nothing here reads a store. What was measured is in ncore/network/README.md.
"""

from ncore.network.edge_dynamics.descent import descend, part_ways
from ncore.network.edge_dynamics.diagnostics import (
    convergence,
    curvature,
    effective_rank,
    layer_paths,
    speed,
    stable_rank,
    turning,
)
from ncore.network.edge_dynamics.effective import driven_rate, effective_path, effective_row
from ncore.network.edge_dynamics.flow import (
    Flow,
    flow_time,
    gradient_flow,
    heavy_ball,
    heavy_ball_mass,
    momentum_flow,
)
from ncore.network.edge_dynamics.landscape import Landscape
from ncore.network.edge_dynamics.pruning import (
    interaction_scores,
    kept,
    magnitude_scores,
    prune,
    random_scores,
    what_is_left,
)

__all__ = [
    "Flow",
    "Landscape",
    "convergence",
    "curvature",
    "descend",
    "driven_rate",
    "effective_path",
    "effective_rank",
    "effective_row",
    "flow_time",
    "gradient_flow",
    "heavy_ball",
    "heavy_ball_mass",
    "interaction_scores",
    "kept",
    "layer_paths",
    "magnitude_scores",
    "momentum_flow",
    "part_ways",
    "prune",
    "random_scores",
    "speed",
    "stable_rank",
    "turning",
    "what_is_left",
]
