"""Transferability scores: how well frozen features suit a target task, without training the candidate.

Each is a pure function from features of shape (N, D), or from source probabilities or predictions, and labels of shape
(N,) to a number; ``TRANSFER_SCORES`` declares direction, range, unit and source. SciPy and scikit-learn are loaded by
the functions that need them.
"""

from ncore.scores.score import Score
from ncore.scores.transfer.gbc import gbc
from ncore.scores.transfer.hscore import h_score, regularized_h_score
from ncore.scores.transfer.knn import knn_accuracy
from ncore.scores.transfer.leep import leep
from ncore.scores.transfer.linear_probe import linear_probe
from ncore.scores.transfer.logme import logme
from ncore.scores.transfer.nce import nce
from ncore.scores.transfer.nleep import n_leep
from ncore.scores.transfer.registry import TRANSFER_SCORES, transfer_scores
from ncore.scores.transfer.transrate import transrate

__all__ = [
    "TRANSFER_SCORES",
    "Score",
    "gbc",
    "h_score",
    "knn_accuracy",
    "leep",
    "linear_probe",
    "logme",
    "n_leep",
    "nce",
    "regularized_h_score",
    "transfer_scores",
    "transrate",
]
