"""The predictors, a module for each family, and their registry."""

from ncore.predict.predictors.registry import DEFAULT_METHOD, get_predictor, predictor_names, taught

__all__ = ["DEFAULT_METHOD", "get_predictor", "predictor_names", "taught"]
