"""The version of this library; the build reads it too."""

__version__ = "0.1.0"
