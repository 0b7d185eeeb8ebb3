"""Terms and their definitions; texts link to them by ``[[term]]``, or ``[[term|other words]]``."""

from __future__ import annotations

import re
from collections.abc import Iterable

import streamlit as st

__all__ = ["TERMS", "anchor", "linked", "terms_of", "text", "words"]

#: Term -> definition, in a sentence or two of Markdown; definitions may link to other terms. Lower case, singular.
TERMS: dict[str, str] = {
    "beta_eff": "Neural capacitance $\\beta_\\text{eff} = \\dfrac{\\mathbf{1}^\\top P P\\,\\mathbf{1}}"
    "{\\mathbf{1}^\\top P\\,\\mathbf{1}}$: one number for how strongly the [[synapse|synapses]] of a network drive "
    "each other. $P$ holds the [[interaction strength|interaction strengths]].",
    "conditioning": "How far a sum is from cancelling, $|\\sum P| \\,/ \\sum |P|$: 1 if all strengths have one sign, "
    "near 0 if [[beta_eff]] is a quotient by almost nothing.",
    "decision boundary": "Where the network is undecided between two classes: on one side it says one, on the other "
    "the other.",
    "degree": "Of a [[synapse]] in the [[line graph]]: its in-degree is the sum of the [[interaction "
    "strength|interactions]] that drive it, its out-degree the sum of those by which it drives others.",
    "effective coupling": "$\\beta_\\text{eff}$ of any network with links $P$: the mean number of links, in which "
    "well-linked neighbours count more. For a network of [[synapse|synapses]] it is called [[beta_eff|neural "
    "capacitance]].",
    "effective state": "$x_\\text{eff}$: the average of the states of all nodes, in which those with strong links "
    "outwards count more.",
    "epoch": "One pass of training over all training points.",
    "gradient flow": "Training with infinitely small steps: every weight moves downhill on the [[loss]], "
    "$\\dfrac{dw}{dt} = -\\dfrac{\\partial C}{\\partial w}$.",
    "Hessian": "All second derivatives of the [[loss]] by two weights: how the loss curves.",
    "hidden layer": "Neurons between the inputs and the output.",
    "interaction strength": "How strongly one [[synapse]] drives another that ends where it begins: "
    "$P_{(i\\to j),(j\\to k)} = $ the mean over points of $|z_i|\\,|\\sigma'_j|\\,|\\delta_k|$: input, slope, "
    "error.",
    "Kendall's tau": "How alike two orders are: the share of pairs that are in the same order in both, less the share "
    "of those that are not; from -1 to 1.",
    "layer graph": "The network as one draws it, $G_A$: neurons are its vertices and [[synapse|synapses]] its edges.",
    "learning rate": "Length of a training step: $w \\leftarrow w - \\eta\\,\\partial C/\\partial w$ with the "
    "learning rate $\\eta$.",
    "line graph": "The network of [[synapse|synapses]], $G_B$: every synapse is a vertex, and an edge joins two "
    "synapses that share a neuron, one ending where the other begins.",
    "loss": "What training makes small, $C$: how wrong the network is on the training points, on average.",
    "meadow network": "Species are the nodes, and a link joins a plant and a pollinator that visits it: each gains "
    "from the other.",
    "mean field": "To take each node of a network for an average one, so that one equation is left of many.",
    "noise": "What differs when nothing but chance does: other test examples, another [[seed]].",
    "overfitting": "The loss on training points falls while that on test points rises: the network learns the noise.",
    "phase plane": "A picture of states and their velocities: here each [[synapse]] by its weight $w$ and by the "
    "[[rate]] at which [[gradient flow]] changes it. What lies on the line $dw/dt = 0$ is at rest.",
    "probe": "A fixed set of training examples, or points, on which [[beta_eff]] is measured.",
    "rate": "The velocity $dw/dt$ of a weight under [[gradient flow]].",
    "regret": "The accuracy of the best candidate less that of the chosen one, in points.",
    "regularisation": "A price on large weights that is added to the loss: L1 makes many weights exactly zero, L2 "
    "makes all of them smaller.",
    "seed": "The number that chance begins with: first weights and the order of examples follow from it.",
    "synapse": "A weight: the connection from one neuron to another.",
    "test point": "A point that training never sees; it shows whether what was learned holds.",
    "tipping point": "Where a small change of the network changes its state of rest abruptly: one of the states ceases "
    "to exist.",
}

_LINK = re.compile(r"\[\[([^\[\]|]+)(?:\|([^\[\]]+))?\]\]")


def linked(text: str) -> str:
    """Markdown in which ``[[term]]`` and ``[[term|words]]`` are links to the term's definition on the page.

    Raises:
        KeyError: A term is not in the glossary, which is a mistake of ours.

    Example:
        >>> linked("Each [[synapse|weight]] has a [[rate]].")
        'Each [weight](#word-synapse) has a [rate](#word-rate).'
    """
    return _LINK.sub(lambda match: f"[{match[2] or match[1]}](#{anchor(match[1])})", _checked(text))


def terms_of(text: str) -> list[str]:
    """Terms that a text links to, and those that their definitions link to, in the order of the glossary.

    Example:
        >>> terms_of("the [[rate]]")
        ['gradient flow', 'loss', 'rate']
    """
    found: set[str] = set()
    waiting = [match[1] for match in _LINK.finditer(_checked(text))]
    while waiting:
        term = waiting.pop()
        if term not in found:
            found.add(term)
            waiting += [match[1] for match in _LINK.finditer(TERMS[term])]
    return [term for term in sorted(TERMS) if term in found]


def anchor(term: str) -> str:
    """Name of the place on the page where a term is defined.

    Example:
        >>> anchor("line graph")
        'word-line-graph'
    """
    return "word-" + re.sub(r"[^a-z0-9]+", "-", term.lower()).strip("-")


def text(*texts: str) -> None:
    """Show Markdown with links to terms; the page has to show their definitions, too, with :func:`words`."""
    for each in texts:
        st.markdown(linked(each))


def words(terms: Iterable[str]) -> None:
    """Show the definitions of these terms, where links lead."""
    for term in terms:
        st.subheader(term, anchor=anchor(term))
        st.markdown(linked(TERMS[term]))


def _checked(text: str) -> str:
    for match in _LINK.finditer(text):
        if match[1] not in TERMS:
            raise KeyError(f"The glossary has no term {match[1]!r}.")
    return text
