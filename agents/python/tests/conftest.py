import os

import pytest

from standin import Gateway

REAL = os.environ.get("APP_GATEWAY") == "real"


@pytest.fixture
def standin():
    """A gateway that can be slow, refuse and drip, and tells what it was asked."""
    gateway = Gateway()
    yield gateway
    gateway.stop()
    # Whatever a test was about, every request was signed as it should be.
    assert gateway.refused == []


@pytest.fixture(scope="session")
def real():
    from real import RealGateway

    gateway = RealGateway()
    yield gateway
    gateway.close()


@pytest.fixture
def gateway(request):
    """The stand-in, or `erne` where `scripts/e2e_agent_python.sh` runs the tests."""
    if not REAL:
        return request.getfixturevalue("standin")
    gateway = request.getfixturevalue("real")
    gateway.begin()
    return gateway


def pytest_collection_modifyitems(items):
    """Against `erne`, only what it can be made to do: it cannot be told to be slow."""
    if REAL:
        items[:] = [item for item in items if "gateway" in item.fixturenames]
