"""The writer of the page on the benchmark: ``python -m tools.benchmark_page``."""
