"""Networked dynamical systems, dx_i/dt = f(x_i) + sum_j P_ij g(x_i, x_j), and their one-dimensional reduction.

A ``System`` is f and g; a ``Network`` is P; a ``Dynamics`` is one on the other, and can be simulated and brought to
rest. The reduction needs only beta_eff (``coupling``), and has the equilibria that ``bifurcation`` draws as the
system's universal curve; ``compare`` and ``perturbation_path`` say how well networks follow it. NumPy, SciPy and pandas
only; networkx is imported where a network is made from it. After Gao, Barzel and Barabasi, Nature 530 (2016).
"""

from ncore.network.dynamics._matrix import as_matrix
from ncore.network.dynamics.branches import Bifurcation, bifurcation
from ncore.network.dynamics.comparison import compare
from ncore.network.dynamics.equilibria import Equilibrium, equilibria, equilibria_frame, growth_rate, settle
from ncore.network.dynamics.files import read_csv, read_graphml
from ncore.network.dynamics.flow import Dynamics
from ncore.network.dynamics.generators import (
    GENERATORS,
    barabasi_albert,
    communities,
    erdos_renyi,
    mix_by_degree,
    random_regular,
    star,
    watts_strogatz,
)
from ncore.network.dynamics.integrate import METHODS, Trajectory, simulate
from ncore.network.dynamics.mean_field import Coupling, coupling, effective_state
from ncore.network.dynamics.models import SYSTEMS, gene_regulation, mutualistic, sis
from ncore.network.dynamics.networks import Network
from ncore.network.dynamics.perturb import (
    PERTURBATIONS,
    perturbation_path,
    remove_links,
    remove_nodes,
    weaken_links,
)
from ncore.network.dynamics.real import REAL, real_network
from ncore.network.dynamics.reduction import reduced_end, reduced_equilibria
from ncore.network.dynamics.system import Parameter, System

__all__ = [
    "GENERATORS",
    "METHODS",
    "PERTURBATIONS",
    "REAL",
    "SYSTEMS",
    "Bifurcation",
    "Coupling",
    "Dynamics",
    "Equilibrium",
    "Network",
    "Parameter",
    "System",
    "Trajectory",
    "as_matrix",
    "barabasi_albert",
    "bifurcation",
    "communities",
    "compare",
    "coupling",
    "effective_state",
    "equilibria",
    "equilibria_frame",
    "erdos_renyi",
    "gene_regulation",
    "growth_rate",
    "mix_by_degree",
    "mutualistic",
    "perturbation_path",
    "random_regular",
    "read_csv",
    "read_graphml",
    "real_network",
    "reduced_end",
    "reduced_equilibria",
    "remove_links",
    "remove_nodes",
    "settle",
    "simulate",
    "sis",
    "star",
    "watts_strogatz",
    "weaken_links",
]
