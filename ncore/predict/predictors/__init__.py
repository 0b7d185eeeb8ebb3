"""The predictors, a module for each family, and their registry."""

from ncore.predict.predictors.registry import (
    BASELINE,
    DEFAULT_METHOD,
    RECOMMENDED,
    Recommendation,
    get_predictor,
    predictor_names,
    taught,
)

__all__ = ["BASELINE", "DEFAULT_METHOD", "RECOMMENDED", "Recommendation", "get_predictor", "predictor_names", "taught"]
