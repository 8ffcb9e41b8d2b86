"""Settings of every test: two threads at most, no deadline on examples."""

import os

import pytest
from hypothesis import HealthCheck, settings

for name in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
    os.environ.setdefault(name, "2")  # read when numpy or torch is first imported, by a test

_CALM = [HealthCheck.too_slow, HealthCheck.data_too_large]
settings.register_profile("dev", deadline=None, suppress_health_check=_CALM)
settings.register_profile("ci", deadline=None, suppress_health_check=_CALM, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "dev")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--update-vectors", action="store_true", help="write golden vectors anew instead of comparing")


@pytest.fixture
def update_vectors(request: pytest.FixtureRequest) -> bool:
    """Whether golden vectors are to be written anew."""
    return bool(request.config.getoption("--update-vectors"))
