"""The benchmark: real candidates on real data, and how well every method ranks them.

Importing it stays light: its table is read without torch.
"""

from ncore.benchmark.table import about, curves, load_table

__all__ = ["about", "curves", "load_table"]
