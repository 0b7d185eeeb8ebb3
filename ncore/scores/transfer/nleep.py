"""N-LEEP: LEEP with the clusters of the features in place of source classes, for networks without a head."""

import warnings

import numpy as np
import numpy.typing as npt

from ncore.scores.transfer._data import check_features
from ncore.scores.transfer._spectrum import principal_components
from ncore.scores.transfer.leep import leep

__all__ = ["n_leep"]


def n_leep(
    features: npt.ArrayLike, labels: npt.ArrayLike, components: int = 5, variance: float = 0.8, seed: int = 0
) -> float:
    """N-LEEP (Li, Jia, Sang, Zhu, Green, Wang, Gong, *Ranking Neural Checkpoints*, CVPR 2021).

    The features are reduced to the principal components that hold 80% of their variance, a Gaussian mixture is fitted
    to them, and LEEP is taken of the posterior probabilities of its components.

    Args:
        features: Shape (N, D).
        labels: Shape (N,), K classes.
        components: Gaussians for each class, 5 in the paper; at most one a sample in all.
        variance: Share of the variance to keep, in (0, 1).
        seed: Seed of the mixture's start.

    Returns:
        Nats a sample, from minus the entropy of the labels to 0, higher is better. It takes seconds to minutes: the
        mixture has full covariances.

    Raises:
        InputError: See ``check_features``.

    Example:
        >>> import numpy as np
        >>> features = np.repeat([[0.0, 0.0], [5.0, 1.0]], 20, axis=0) + np.random.default_rng(0).normal(size=(40, 2))
        >>> n_leep(features, np.repeat([0, 1], 20)) > n_leep(features, np.tile([0, 1], 20))
        True
    """
    from sklearn.exceptions import ConvergenceWarning
    from sklearn.mixture import GaussianMixture

    matrix, classes = check_features(features, labels)
    reduced = principal_components(matrix, variance)
    # The mixture adds a constant to variances: at unit scale it weighs the same for every network.
    scale = np.sqrt(reduced.var(axis=0).mean())
    reduced = reduced / scale if scale > 0 else reduced
    mixture = GaussianMixture(min(components * classes.counts.size, len(reduced)), random_state=seed)
    with warnings.catch_warnings():
        # A mixture short of its optimum, or with equal samples for several components, still has posteriors.
        warnings.simplefilter("ignore", ConvergenceWarning)
        posterior = mixture.fit(reduced).predict_proba(reduced)
    return leep(posterior, classes.codes)
