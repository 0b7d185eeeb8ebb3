"""One short text for every number that the app shows: what it is, and when to trust it."""

from __future__ import annotations

from dataclasses import dataclass

from ncore.network.strengths import Strength
from ncore.predict import MEASURES

__all__ = ["EXPLANATIONS", "Explanation", "explanation"]


@dataclass(frozen=True)
class Explanation:
    """What a number is.

    Attributes:
        label: Its name in tables and figures.
        unit: Of the number as it is shown; empty for a pure number.
        meaning: What it says, in a sentence.
        formula: How it is computed, as Markdown; empty if the meaning says it.
        direction: Which way is good, or what the ends of its range are.
        trust: When it can be relied on, and when not.
    """

    label: str
    unit: str
    meaning: str
    formula: str
    direction: str
    trust: str

    @property
    def axis(self) -> str:
        """The label with its unit, for an axis."""
        return f"{self.label} ({self.unit})" if self.unit else self.label

    @property
    def text(self) -> str:
        """All of it as Markdown."""
        parts = [self.meaning, f"**Formula:** {self.formula}" if self.formula else ""]
        parts += [f"**Unit:** {self.unit or 'none'}. **Direction:** {self.direction}", f"**Trust:** {self.trust}"]
        return "\n\n".join(filter(None, parts))


EXPLANATIONS: dict[str, Explanation] = {
    "validation_accuracy": Explanation(
        "Validation accuracy",
        "%",
        "Share of the validation examples classified correctly after the last finished epoch.",
        "",
        "higher is better.",
        "Early decisions see only this set, so what was chosen by it looks slightly better here than on test data. "
        "With n examples its standard error is about 50/√n points at most.",
    ),
    "test_accuracy": Explanation(
        "Final accuracy",
        "%",
        "Share of the test examples classified correctly when training has ended: what predictions are judged by.",
        "",
        "higher is better.",
        "Known only for finished runs. Differences between candidates that are smaller than those between the seeds of "
        "one candidate say nothing.",
    ),
    "epochs": Explanation(
        "Epochs", "epochs", "Finished passes over the training examples.", "", "more is more costly.", "Exact."
    ),
    "seconds": Explanation(
        "Time",
        "s",
        "Wall time since the run began.",
        "",
        "lower is cheaper.",
        "It includes loading and recording, and runs that shared a machine slowed each other down.",
    ),
    "bytes": Explanation("Size", "MB", "All files of the run.", "", "lower is cheaper.", "Exact."),
    "updated": Explanation(
        "Updated", "", "When the run last finished an epoch, or ended.", "", "none.", "By the clock of its machine."
    ),
    "status": Explanation(
        "Status",
        "",
        "*running*: being recorded now; *finished*; *failed*: training could not go on, the reason says why; "
        "*interrupted*: its process is gone, or it was stopped early, as the reason says, and it can be resumed; "
        "*unreadable*: its files are damaged.",
        "",
        "none.",
        "On another machine a run counts as interrupted after ten minutes without a new epoch.",
    ),
    "conditioning": Explanation(
        "Conditioning",
        "",
        "What the signed interaction strengths leave of the denominator of beta_eff after they cancelled.",
        "`|sum P| / sum |P|`; of a Hessian `|sum H 1| / sum |H 1|`",
        "1 is well conditioned, 0 is all cancelled.",
        "A beta_eff with less than 0.05 is a quotient of small differences: its size and even its sign are accidental.",
    ),
    "layer": Explanation(
        "Part of beta_eff",
        "",
        "The part of beta_eff that passes through the synapses of one layer; all parts add up to beta_eff.",
        "`sum over the layer of d_out · d_in / sum over all of d_in`",
        "a larger part means that this layer is where learning goes on.",
        "The first and the last layer have no part by construction: the first layer's synapses drive none, and "
        "nothing drives the last layer's.",
    ),
    "predicted": Explanation(
        "Predicted final accuracy",
        "%",
        "What the chosen method expects a run to end at, from its epochs up to the chosen one alone; seeds are "
        "averaged. What has ended by then is measured: it is the mean of its final accuracies.",
        "",
        "higher is better.",
        "As far as the method was right so far: the comparison of methods on this page says how far that is.",
    ),
    "interval": Explanation(
        "90% interval",
        "%",
        "The final accuracy of one more run of the candidate should lie in here nine times out of ten.",
        "`mean ± 1.645 · sd`, with the variance within seeds plus that between them, cut off at 0 and 100%",
        "narrower is surer.",
        "That of a forecast is calibrated on finished runs of other datasets, where a note says nothing else; on data "
        "of another kind it may hold less. What is uncertain for all candidates alike, such as how far curves will "
        "still rise, is part of it, so that intervals can overlap although the order is sure. That of what is measured "
        "is for the mean, and holds the chance between seeds and in the choice of test examples, as far as they are "
        "known. One seed can't tell how seeds differ.",
    ),
    "kind": Explanation(
        "Kind",
        "",
        "*forecast*: where the candidate will end, as the chosen method says; *measured*: where it ended, by the test "
        "accuracies of all its runs.",
        "",
        "none.",
        "What is measured is known but for chance; it is only stated as of an epoch by which all its runs had ended.",
    ),
    "coverage": Explanation(
        "Coverage",
        "%",
        "How often the final accuracy was inside the 90% interval, on datasets that it was not calibrated on.",
        "",
        "90% is right; lower means intervals that are too narrow, higher ones that are too wide.",
        "With few tasks it is known to a few points only, as the runs of a task miss together.",
    ),
    "p_best": Explanation(
        "Probability of being best",
        "%",
        "How often the candidate comes out first when all predictions are drawn from their intervals.",
        "share of 10,000 draws of independent normal distributions, cut off at 0 and 100%; an error that the method "
        "says all candidates share is left out, as it doesn't change their order",
        "higher is better; they add up to 100%.",
        "No more than the intervals that it is drawn from.",
    ),
    "rank": Explanation(
        "Rank",
        "",
        "Place by predicted final accuracy; equal predictions share a place.",
        "",
        "1 is best.",
        "Neighbours may well change places: the probability of being best says how sure the first one is.",
    ),
    "h0": Explanation(
        "h(0)",
        "%",
        "The paper's prediction: accuracy as a line in beta_eff, fitted to the first epochs of one run and read where "
        "beta_eff has vanished, because errors vanish as training converges.",
        "Bayesian ridge regression; the band is its 90% predictive interval",
        "higher is better.",
        "When the points lie on a falling line that reaches close to 0. With a rising line, or few points, or beta_eff "
        "still near its start, it extrapolates a long way; reading the last accuracy has often ranked better.",
    ),
    "saved": Explanation(
        "Compute saved",
        "%",
        "Share of the recorded training time that would not have been spent, had one trained all candidates up to "
        "epoch k and only the first choice to its end.",
        "`1 − (time of all runs up to k + rest of the first choice) / time of all runs`",
        "higher is cheaper.",
        "By wall time as recorded; of unfinished runs the time to their planned end is extrapolated.",
    ),
    "seeds": Explanation(
        "Mean and band over seeds",
        "",
        "The line is the mean over a candidate's seeds, and the band reaches from the lowest to the highest.",
        "",
        "a narrow band: the outcome does not depend on chance.",
        "Two or three seeds show that chance matters, not how much.",
    ),
    "weight": Explanation(
        "Weight",
        "",
        "How much of its source neuron's output a synapse passes on to its target.",
        "`w`, an entry of `Linear.weight`; biases are not synapses",
        "none: the sign says whether it excites or inhibits.",
        "Exact at the recorded epochs. Between epochs it may have been anything.",
    ),
    "rate": Explanation(
        "Rate dw/dt",
        "loss per weight",
        "Where gradient flow on the probe batch would move the weight: the state's velocity in the edge dynamics.",
        "`dw/dt = −∂C/∂w` on the probe",
        "0 at rest; it has the sign of the weight's next small change.",
        "It is the full gradient on the probe, not what the optimizer did: momentum, learning rate, weight decay and "
        "other batches make steps differ. In a frozen unit weights stay although their rates do not vanish.",
    ),
    "interaction": Explanation(
        "Interaction strength",
        "loss per squared weight",
        "How strongly a synapse is tied into the line graph G_B: how much it is driven plus how much it drives.",
        "`d_in + d_out`, row plus column sum of `P = mean |z| |σ'| |δ|`",
        "it falls towards 0 as training converges.",
        "Exact for the recorded neurons; of a sample, only interactions inside it count. The first layer drives none "
        "and nothing drives the last, so layers are not on a par. It scales with activations: compare within a run.",
    ),
    "neighbour": Explanation(
        "Strength in the line graph",
        "loss per squared weight",
        "An entry of P: how strongly one synapse drives another one that ends where it begins.",
        "`P[(i→j), (j→k)] = mean z_i σ'_j δ_k` over the probe, and `dw_ij/dt = −sum over k of P · w_jk`",
        "signed: with a positive driver, a positive entry lowers the driven weight.",
        "The pushes of all drivers add up to the rate exactly where every neuron of the next layer was recorded. "
        "Absolute strengths take magnitudes sample by sample, so signed ones can be far smaller: they cancel.",
    ),
    "x_eff": Explanation(
        "Effective state x_eff",
        "",
        "The state of all synapses in one number: the mean weight, each weighted by how strongly it drives others.",
        "`x_eff = L_P(w) = sum(d_out · w) / sum(d_out)`, its rate `L_P(dw/dt)` at the same P, absolute strengths",
        "none; at convergence its rate is 0.",
        "One number can't tell weights that cancel from weights that are small. It is only known at epochs with a line "
        "graph, and of a sample of neurons it is that of the sub-network.",
    ),
    "speed": Explanation(
        "Speed |dw/dt|",
        "loss per weight",
        "How fast gradient flow would move a synapse, whatever its sign.",
        "`|∂C/∂w|` on the probe; bands hold the middle 50 and 90% of a layer's synapses",
        "it falls as a layer converges; a wide band means an uneven one.",
        "Synapses at exactly 0 (of dead neurons, or of inputs that are always 0) can't be on a logarithmic axis: they "
        "count in the quantiles, and their share is said in words.",
    ),
    "sparse": Explanation(
        "Sparse sub-network",
        "% of synapses",
        "The smallest share of synapses that together carry 50, 90 or 99% of all interaction strength.",
        "the largest `d_in + d_out` first, until the share of their sum is reached",
        "lower is sparser.",
        "It says where interaction sits, not which synapses could be pruned. If all synapses were alike it would be "
        "50, 90 and 99%.",
    ),
}
for _strength in Strength:
    EXPLANATIONS[f"beta_eff {_strength}"] = Explanation(
        f"beta_eff, {_strength.label}",
        _strength.unit,
        _strength.meaning,
        _strength.formula,
        "none; a large one is a stiff network."
        if _strength.curvature
        else "falls towards 0 as training converges; by itself it is not a quality.",
        _strength.trust,
    )
for _measure in MEASURES.values():
    EXPLANATIONS[_measure.name] = Explanation(
        {"precision_at_3": "Precision at 3"}.get(_measure.name, _measure.name.replace("_", " ").capitalize()),
        _measure.unit,
        _measure.description,
        "",
        f"{'higher' if _measure.higher_is_better else 'lower'} is better, "
        f"from {_measure.lower_bound:g} to {_measure.upper_bound:g}.",
        "Only candidates count whose final accuracy is known; with fewer than ten of them one pair more or less "
        "changes it a lot.",
    )


def explanation(name: str) -> Explanation:
    """The explanation of a number; KeyError if there is none, which is a mistake of ours."""
    return EXPLANATIONS[name]
