"""The version of the installed package."""

from importlib.metadata import PackageNotFoundError, version

try:
    __version__ = version("ncore")
except PackageNotFoundError:  # a checkout on the path that is not installed
    __version__ = "0+unknown"
