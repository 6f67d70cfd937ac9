"""All cases, run once for all tests of them."""

from __future__ import annotations

import pytest

from tests.conformance.__main__ import Results, evaluate


@pytest.fixture(scope="package")
def results() -> Results:
    return evaluate()
