"""The same small table as the benchmark's own tests have."""

from tests.benchmark.conftest import table_path

__all__ = ["table_path"]
