"""The silence before a ping: it grows while pings are answered, and learns from those that are not."""

from hypothesis import given
from hypothesis import strategies as st

from roskva.state.pulse import Pulse


def test_answers_lengthen_the_silence() -> None:
    """Each answered ping allows a longer silence, up to the ceiling."""
    pulse, silences = Pulse(60.0, 150.0), []
    for _ in range(4):
        silences.append(pulse.interval)
        pulse = pulse.after_answer()
    assert silences == [60.0, 90.0, 135.0, 150.0]


def test_a_silence_that_failed_is_not_tried_again() -> None:
    """After an unanswered ping the silence is halved, and stays below the one that failed."""
    pulse = Pulse(120.0).after_silence()
    assert pulse.interval == 60.0
    for _ in range(10):
        pulse = pulse.after_answer()
    assert pulse.interval == 80.0


@given(st.lists(st.booleans()))
def test_silence_has_bounds(answered: list[bool]) -> None:
    """§6: pings are never closer than 20 s, nor further apart than the ceiling, whatever happens."""
    pulse = Pulse()
    for is_answered in answered:
        pulse = pulse.after_answer() if is_answered else pulse.after_silence()
        assert 20.0 <= pulse.interval <= 300.0
