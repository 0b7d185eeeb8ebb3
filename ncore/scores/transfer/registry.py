"""All transferability scores by name, and their values for one candidate."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from ncore.errors import InputError
from ncore.scores.score import Score
from ncore.scores.transfer.gbc import gbc
from ncore.scores.transfer.hscore import h_score, regularized_h_score
from ncore.scores.transfer.knn import knn_accuracy
from ncore.scores.transfer.leep import leep
from ncore.scores.transfer.linear_probe import linear_probe
from ncore.scores.transfer.logme import logme
from ncore.scores.transfer.nce import nce
from ncore.scores.transfer.nleep import n_leep
from ncore.scores.transfer.transrate import transrate

__all__ = ["TRANSFER_SCORES", "transfer_scores"]

#: Each function is called with what it `reads`, then the labels: "features" (N, D) of the frozen network,
#: "probabilities" (N, S) of its own head, or that head's "predictions" (N,).
TRANSFER_SCORES: dict[str, Score] = {
    score.name: score
    for score in (
        Score(
            "logme",
            "LogME",
            logme,
            "features",
            "You et al., ICML 2021, arXiv:2102.11005",
            "Log evidence of a Bayesian linear model of the labels.",
            unit="nats a sample",
        ),
        Score(
            "leep",
            "LEEP",
            leep,
            "probabilities",
            "Nguyen et al., ICML 2020, arXiv:2002.12462",
            "Log likelihood of the labels predicted through the source classes; 0 is perfect.",
            upper_bound=0,
            unit="nats a sample",
        ),
        Score(
            "nce",
            "NCE",
            nce,
            "predictions",
            "Tran et al., ICCV 2019, arXiv:1908.08142",
            "Minus the entropy of the labels given the predicted source class; 0 is perfect.",
            upper_bound=0,
            unit="nats",
        ),
        Score(
            "h_score",
            "H-score",
            h_score,
            "features",
            "Bao et al., ICIP 2019",
            "Variation between classes in units of that of the features; classes less one is perfect.",
            lower_bound=0,
        ),
        Score(
            "regularized_h_score",
            "H-score, regularised",
            regularized_h_score,
            "features",
            "Ibrahim et al., 2021, arXiv:2110.06893",
            "H-score with a shrunk covariance, for few samples; classes less one is perfect.",
            lower_bound=0,
        ),
        Score(
            "transrate",
            "TransRate",
            transrate,
            "features",
            "Huang et al., ICML 2022, arXiv:2106.09362",
            "Information that features and labels share, by coding rates.",
            unit="nats",
        ),
        Score(
            "gbc",
            "GBC",
            gbc,
            "features",
            "Pándy et al., CVPR 2022, arXiv:2111.12780",
            "Minus the overlap of the classes as Gaussians; 0 is none.",
            upper_bound=0,
        ),
        Score(
            "n_leep",
            "N-LEEP",
            n_leep,
            "features",
            "Li et al., CVPR 2021, arXiv:2011.11200",
            "LEEP with clusters of the features for source classes; 0 is perfect.",
            upper_bound=0,
            unit="nats a sample",
        ),
        Score(
            "linear_probe",
            "Linear probe",
            linear_probe,
            "features",
            "Alain and Bengio, 2016, arXiv:1610.01644",
            "Cross-validated accuracy of logistic regression, a fraction.",
            lower_bound=0,
            upper_bound=1,
        ),
        Score(
            "knn_accuracy",
            "kNN accuracy",
            knn_accuracy,
            "features",
            "Cover and Hart, IEEE Transactions on Information Theory, 1967",
            "Leave-one-out accuracy of the five nearest neighbours, a fraction.",
            lower_bound=0,
            upper_bound=1,
        ),
    )
}


def transfer_scores(
    features: npt.ArrayLike,
    labels: npt.ArrayLike,
    probabilities: npt.ArrayLike | None = None,
    names: Sequence[str] | None = None,
) -> dict[str, float]:
    """Several scores of one candidate on one dataset.

    Args:
        features: Output of the frozen network below its head, shape (N, D).
        labels: Target classes, shape (N,).
        probabilities: Softmax of its own head, shape (N, S); None if it has none.
        names: Keys of ``TRANSFER_SCORES``; None for all that can be had from the arguments.

    Returns:
        Values by name, in the order asked for.

    Raises:
        InputError: An unknown name, one that needs the probabilities when there are none, or data that a score
            refuses.

    Example:
        >>> transfer_scores([[0.0], [0.1], [1.0], [1.1]], [0, 0, 1, 1], names=["gbc"])["gbc"] > -0.01
        True
    """
    chosen = _known(TRANSFER_SCORES if names is None else names)
    if probabilities is None:
        needy = [score.name for score in chosen if score.reads != "features"]
        if names is not None and needy:
            raise InputError(
                f"The scores {', '.join(needy)} need the probabilities of the source classes, but none were given: "
                "pass `probabilities`, or leave the scores out."
            )
        chosen = [score for score in chosen if score.reads == "features"]
    given = {"features": features, "probabilities": probabilities}
    if probabilities is not None:
        given["predictions"] = np.asarray(probabilities).argmax(axis=-1)
    return {score.name: score.function(given[score.reads], labels) for score in chosen}


def _known(names: Sequence[str] | dict[str, Score]) -> list[Score]:
    """The scores of these names."""
    for name in names:
        if name not in TRANSFER_SCORES:
            raise InputError(f"The score {name!r} is unknown: choose from {', '.join(TRANSFER_SCORES)}.")
    return [TRANSFER_SCORES[name] for name in names]
