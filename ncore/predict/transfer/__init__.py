"""Transferability scores: how well frozen features suit a target task, without training the candidate.

Each is a pure function from features of shape (N, D), or from source probabilities or predictions, and labels of shape
(N,) to a number; `TRANSFER_SCORES` declares direction, range, unit and source. SciPy and scikit-learn are loaded by the
functions that need them.
"""

from ncore.predict.transfer.gbc import gbc
from ncore.predict.transfer.hscore import h_score, regularized_h_score
from ncore.predict.transfer.knn import knn_accuracy
from ncore.predict.transfer.leep import leep
from ncore.predict.transfer.linear_probe import linear_probe
from ncore.predict.transfer.logme import logme
from ncore.predict.transfer.nce import nce
from ncore.predict.transfer.nleep import n_leep
from ncore.predict.transfer.registry import TRANSFER_SCORES, transfer_scores
from ncore.predict.transfer.score import Score
from ncore.predict.transfer.transrate import transrate

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
