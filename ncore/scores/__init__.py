"""Scores of a candidate before training, transferability and zero-cost, and metrics of what it predicts after."""
