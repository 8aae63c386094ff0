import uuid

from roskva.server.node import UAIDS_DRAWN, UaidSource
from roskva.types import is_random_uaid


def test_uaids_are_random_uuids() -> None:
    """§3.2: a new UAID is a version 4 UUID of RFC 9562, and no two are alike, whatever is drawn at a time."""
    source = UaidSource()
    drawn = [source() for _ in range(3 * UAIDS_DRAWN + 1)]
    assert len(set(drawn)) == len(drawn)
    assert all(map(is_random_uaid, drawn))
    assert {uuid.UUID(bytes=uaid).version for uaid in drawn} == {4}
    assert len({uaid[:6] for uaid in drawn}) == len({uaid[9:] for uaid in drawn}) == len(drawn)
