"""Packages of extras that a test needs."""

import pytest


def needs_dask():
    """Skip where Dask, or what closes a local cluster of it to others, is missing; return `distributed`."""
    reason = "needs Dask, of the extras `dask` and `reference`"
    pytest.importorskip("cryptography", reason=reason)
    return pytest.importorskip("distributed", reason=reason)
