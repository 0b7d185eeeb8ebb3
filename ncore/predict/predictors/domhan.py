"""The combination of parametric learning curves of Domhan, Springenberg and Hutter, sampled by MCMC."""

from collections.abc import Sequence
from functools import lru_cache

import numpy as np

from ncore.errors import MissingExtraError
from ncore.predict.curves import Curve, FloatArray
from ncore.predict.forecast import Family, Forecast, Predictor
from ncore.predict.predictors._curve_families import FAMILIES, fit_family
from ncore.predict.predictors.naive import MIN_SD, read_last

__all__ = ["DIMENSIONS", "MAX_WEIGHT", "NOISE", "Domhan", "Posterior", "extrapolate"]

_LOWER = np.concatenate([family.lower for family in FAMILIES])
_UPPER = np.concatenate([family.upper for family in FAMILIES])
_ENDS = np.cumsum([len(family.start) for family in FAMILIES])
#: Dimensions: the parameters of the families, a weight for each, and the log of the noise.
DIMENSIONS = int(_ENDS[-1]) + len(FAMILIES) + 1
#: The noise of one reading that the prior allows, as a standard deviation.
NOISE = (MIN_SD / 2, 0.2)
#: Largest weight of a family; the eleven start at 1/11 each.
MAX_WEIGHT = 1.0


class Domhan(Predictor):
    """Eleven parametric families, combined and averaged over their posterior.

    Accuracy after epoch t is sum_k w_k f_k(t; theta_k) plus Gaussian noise (Domhan et al., IJCAI 2015, equations 1
    to 5): flat priors on all parameters and positive weights, and the one assumption that the curve is higher at the
    horizon than at the first epoch seen. The sampler, emcee's, starts around the least-squares fit of each family with
    equal weights, as in the paper; its moves are those of differential evolution (ter Braak 2006; ter Braak and Vrugt
    2008), which mix better than the stretch move in this many dimensions. The forecast is the mean of the sampled
    curves at the horizon, each clipped to [0, 1], its variance theirs plus the noise.

    Chains of this length have not forgotten their start: three to ten accuracies say little about 48 parameters with
    flat priors. On sample runs seen for three to five epochs, ten times the steps raised the means by 0.02 to 0.07,
    away from where the runs ended, and the standard deviations two- to threefold. So more of them is not better, and
    the number here is about that of the paper, 100,000 samples of all walkers together. Intervals need calibration.
    The result depends on the curve only: it is drawn with a fixed seed, and remembered.

    Args:
        steps: Steps of the sampler, the first half being thrown away; 600 take about a second.
        walkers: Parallel chains.
    """

    family = Family.CURVE
    name = "domhan"
    label = "Domhan et al. 2015"
    description = "Eleven parametric curves combined, averaged over their posterior by MCMC"
    min_epochs = 3
    slow = True
    extra = "curves"

    def __init__(self, steps: int = 600, walkers: int = 2 * DIMENSIONS + 4) -> None:
        self._steps, self._walkers = steps, walkers

    def predict(self, curves: Sequence[Curve]) -> list[Forecast]:
        """Forecast each run by itself, in about a second; see ``Predictor.predict``.

        Raises:
            MissingExtraError: Emcee is not installed.
        """
        return [self._forecast(curve) for curve in curves]

    def _forecast(self, curve: Curve) -> Forecast:
        if curve.epochs.size < self.min_epochs:
            return read_last(curve, f"{curve.epochs.size} epochs are too few for parametric curves")
        ends = extrapolate(
            tuple(curve.epochs.tolist()), tuple(curve.accuracy.tolist()), curve.horizon, self._steps, self._walkers
        )
        if ends is None:
            return read_last(curve, "the curve falls, which the combined parametric curves rule out")
        return Forecast(*ends)


@lru_cache(maxsize=4096)
def extrapolate(
    epochs: tuple[int, ...], accuracy: tuple[float, ...], horizon: int, steps: int, walkers: int
) -> tuple[float, float] | None:
    """Mean and standard deviation of the accuracy at the horizon, or None if no curve of the model is near the data.

    Args:
        epochs: Epochs seen.
        accuracy: The accuracy after each.
        horizon: The epoch to forecast.
        steps: See ``Domhan``.
        walkers: See ``Domhan``.
    """
    try:
        import emcee
    except ImportError:
        raise MissingExtraError("emcee", "curves", "The combination of parametric curves") from None

    posterior = Posterior(np.array(epochs, dtype=np.float64), np.array(accuracy), float(horizon))
    rng = np.random.default_rng(0)
    start = posterior.start(walkers, rng)
    if start is None:
        return None
    moves = [(emcee.moves.DEMove(), 0.8), (emcee.moves.DESnookerMove(), 0.2)]
    sampler = emcee.EnsembleSampler(walkers, DIMENSIONS, posterior, moves=moves, vectorize=True)
    state = emcee.State(start, random_state=np.random.RandomState(0).get_state())
    sampler.run_mcmc(state, steps, skip_initial_state_check=True)
    samples = sampler.get_chain(discard=steps // 2, thin=5, flat=True)
    ends = np.clip(posterior.curves(samples)[:, -1], 0, 1)
    noise = np.exp(samples[:, -1])
    return float(ends.mean()), float(np.sqrt(ends.var() + np.mean(noise**2)))


class Posterior:
    """Log density of the parameters, given a curve.

    Args:
        epochs: Shape (k,).
        accuracy: Shape (k,).
        horizon: Where the curve must be higher than at the first epoch.
    """

    def __init__(self, epochs: FloatArray, accuracy: FloatArray, horizon: float) -> None:
        self.epochs, self.accuracy, self.horizon = epochs, accuracy, horizon
        self._times = np.append(epochs, horizon)

    def __call__(self, samples: FloatArray) -> FloatArray:
        """Log density up to a constant, shape (n,), of samples of shape (n, DIMENSIONS)."""
        parameters, weights, log_noise = np.split(samples, [_ENDS[-1], DIMENSIONS - 1], axis=1)
        inside = ((parameters >= _LOWER) & (parameters <= _UPPER)).all(axis=1)
        inside &= ((weights >= 0) & (weights <= MAX_WEIGHT)).all(axis=1)
        inside &= ((log_noise >= np.log(NOISE[0])) & (log_noise <= np.log(NOISE[1])))[:, 0]
        density = np.full(len(samples), -np.inf)
        if inside.any():
            curves = self.curves(samples[inside])
            residuals = (curves[:, :-1] - self.accuracy) / np.exp(log_noise[inside])
            value = -0.5 * (residuals**2).sum(axis=1) - self.accuracy.size * log_noise[inside][:, 0]
            rising = curves[:, -1] > curves[:, 0]
            density[inside] = np.where(rising & np.isfinite(value), value, -np.inf)
        return density

    def curves(self, samples: FloatArray) -> FloatArray:
        """The combined curves at the epochs seen and at the horizon, shape (n, k + 1)."""
        weights = samples[:, _ENDS[-1] : -1]
        parts = zip(FAMILIES, np.split(samples[:, : _ENDS[-1]], _ENDS[:-1], axis=1), strict=True)
        total = np.zeros((len(samples), self._times.size))
        for index, (family, parameters) in enumerate(parts):
            total += weights[:, index, None] * family(self._times, parameters)
        return total

    def start(self, walkers: int, rng: np.random.Generator) -> FloatArray | None:
        """Walkers around the fits with equal weights, shape (walkers, DIMENSIONS); None if few of them are allowed."""
        fits = np.concatenate([fit_family(family, self.epochs, self.accuracy) for family in FAMILIES])
        weights = np.full(len(FAMILIES), 1 / len(FAMILIES))
        centre = np.concatenate([fits, weights, [0.0]])
        missed = self.curves(centre[None])[0, :-1] - self.accuracy
        noise = float(np.sqrt(np.mean(missed**2))) if np.isfinite(missed).all() else NOISE[1]
        centre[-1] = np.log(np.clip(noise, 1.5 * NOISE[0], NOISE[1] / 1.5))
        lower = np.concatenate([_LOWER, np.zeros(weights.size), [np.log(NOISE[0])]])
        upper = np.concatenate([_UPPER, np.full(weights.size, MAX_WEIGHT), [np.log(NOISE[1])]])
        spread = np.concatenate([0.02 * (_UPPER - _LOWER), np.full(weights.size, 0.01), [0.1]])
        found = np.empty((0, DIMENSIONS))
        for shrink in (1.0, 0.5, 0.1, 0.02):
            drawn = centre + shrink * spread * rng.standard_normal((4 * walkers, DIMENSIONS))
            drawn = np.clip(drawn, lower, upper)
            found = np.concatenate([found, drawn[np.isfinite(self(drawn))]])
            if len(found) >= walkers:
                return found[:walkers]
        return None
