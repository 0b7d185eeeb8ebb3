"""Scores of a candidate that is not trained: transferability of its features, and zero-cost scores of its network."""
