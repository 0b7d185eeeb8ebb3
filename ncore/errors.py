"""What ncore raises: every message is one sentence with the value, what was expected and what to do."""

__all__ = [
    "InputError",
    "MissingExtraError",
    "NcoreError",
    "OfflineError",
    "SchemaVersionError",
    "StoreError",
    "TrainingFailedError",
    "UnsupportedError",
]


class NcoreError(Exception):
    """Base of every error that ncore raises on purpose; commands print it as one line and exit with 1."""


class InputError(NcoreError, ValueError):
    """A value, a name or a file that the caller gave cannot be used."""


class UnsupportedError(NcoreError, TypeError):
    """A module, loss or device outside what the mathematics covers; the message names it."""


class MissingExtraError(NcoreError, ImportError):
    """An optional dependency is not installed; the message holds the install line."""

    def __init__(self, package: str, extra: str, purpose: str) -> None:
        super().__init__(f"{purpose} needs the package {package!r}: install it with `pip install 'ncore[{extra}]'`.")


class OfflineError(NcoreError, ConnectionError):
    """Weights or data are neither cached here nor reachable."""


class StoreError(NcoreError):
    """A store or a run that cannot be read or written as asked."""


class SchemaVersionError(StoreError):
    """A store or a run written by a version of the format that this ncore does not know."""


class TrainingFailedError(NcoreError, RuntimeError):
    """Training cannot go on (a loss that is not finite, say); what was recorded stays readable."""
