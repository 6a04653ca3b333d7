"""A small dataset like gas drift."""

from __future__ import annotations

import pytest
from fake_gas import SMALL, batches, zipped

from lnn.datasets.source import Source


@pytest.fixture
def small():
    return Source(expected=SMALL, attempts=1, pause=0.0, timeout=5.0)


@pytest.fixture
def zip_path(tmp_path):
    path = tmp_path / "gas.zip"
    path.write_bytes(zipped(batches()))
    return path
