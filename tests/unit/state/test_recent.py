from roskva.state.recent import Recent
from roskva.types import ChannelId

A, B = ChannelId("a"), ChannelId("b")


def test_an_overtaken_version_is_not_told() -> None:
    """Lower than the newest of its channel and sitting: no; equal, higher, or of another one: yes."""
    recent = Recent()
    assert recent.admit(1, A, 40)
    assert not recent.admit(1, A, 39)
    assert recent.admit(1, A, 40)
    assert recent.admit(1, B, 1)
    assert recent.admit(2, A, 1)
    assert recent.admit(1, A, 41)
    assert not recent.admit(1, A, 40)


def test_it_forgets_the_oldest() -> None:
    """Beyond its bound what was told longest ago is forgotten, and may be told again."""
    recent = Recent(limit=2)
    assert recent.admit(1, A, 5)
    assert recent.admit(2, A, 5)
    assert not recent.admit(1, A, 4)
    assert recent.admit(3, A, 5)
    assert recent.admit(2, A, 4)
    assert not recent.admit(3, A, 4)
