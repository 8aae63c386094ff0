"""What is started once for all tests of a process."""

from collections.abc import Iterator

import pytest

from tests.kit.valkey import ValkeyCluster, ValkeyProcess, running, running_cluster


@pytest.fixture(scope="session")
def valkey() -> Iterator[ValkeyProcess]:
    """Run one Valkey; a test clears it first, and leaves it running."""
    with running() as process:
        yield process


@pytest.fixture(scope="session")
def valkey_cluster() -> Iterator[ValkeyCluster]:
    """Run a cluster of three primaries with a replica each; a test clears it first, and leaves it whole."""
    # On a busy machine a node may be silent for seconds: here no test waits for one to be replaced.
    with running_cluster(node_timeout_ms=30_000) as cluster:
        yield cluster
