"""The line that shows how far a command is: on terminals wide and narrow, and elsewhere."""

import io

import pytest

from roskva.progress import Bar, Progress
from tests.kit.terminal import terminal_of


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        """Return the time."""
        return self.now


def test_terminals_line_is_rewritten() -> None:
    """One line shows what is done and how far it is, and is empty in the end."""
    with terminal_of(80) as terminal:
        shown = Progress(terminal.stream)
        shown.begin("examining everything")
        assert terminal.screen == ["examining everything …"]
        shown.report(1, 2000, ", 1 failed")
        assert terminal.screen == ["examining everything 1 of 2,000, 1 failed"]
        shown.begin("shorter")
        assert terminal.screen == ["shorter …"]
        shown.end()
        terminal.stream.write("done\n")
        terminal.stream.flush()
        assert terminal.screen == ["done", ""]


@pytest.mark.parametrize("columns", [1, 2, 20, 78, 79, 80, 200])
def test_line_never_wraps(columns: int) -> None:
    """A line is cut to the terminal, else each rewriting would leave one behind."""
    with terminal_of(columns) as terminal:
        shown, bar = Progress(terminal.stream), Bar("published", 10**6, terminal.stream)
        for done in range(3):
            shown.begin("x" * 300)
            shown.report(done, 10)
            bar.report(10**6)
            assert len(terminal.screen) == 1
        bar.end()
        assert terminal.screen == [""]


def test_terminal_that_does_not_say_its_width() -> None:
    """It is taken for one of 80 columns."""
    with terminal_of(0) as terminal:
        Progress(terminal.stream).begin("x" * 300)
        assert terminal.screen == ["x" * 78]


def test_elsewhere_lines_are_few() -> None:
    """In a log there is a line for what begins, and one each five seconds."""
    clock, log = Clock(), io.StringIO()
    shown = Progress(log, clock)
    shown.begin("examining")
    for done in range(12):
        shown.report(done, 12)
        clock.now += 1.0
    shown.end()
    assert log.getvalue().splitlines() == ["examining …", "examining 6 of 12"]


def test_bar_has_count_rate_and_time_left() -> None:
    """A bar shows how many are done, grows, and says how fast it goes and how long it yet takes."""
    clock = Clock()
    with terminal_of(80) as terminal:
        bar = Bar("published", 1200, terminal.stream, clock)
        assert terminal.screen == [f"published 0 of 1,200 [{'.' * 30}]"]
        clock.now += 2.0
        bar.report(400)
        assert terminal.screen == [f"published 400 of 1,200 [{'#' * 10}{'.' * 20}] 200 a second, 4 s left"]
        clock.now += 1.0
        bar.report(1200)
        assert terminal.screen == [f"published 1,200 of 1,200 [{'#' * 28}] 400 a second, 0 s left"]
        bar.end()
        assert terminal.screen == [""]


@pytest.mark.parametrize(
    ("of", "left"), [(2, "1 s"), (120, "119 s"), (121, "2 min"), (7000, "117 min"), (7201, "2 h"), (10**5, "28 h")]
)
def test_time_left_is_spelled_in_few_digits(of: int, left: str) -> None:
    """Seconds, minutes or hours."""
    clock = Clock()
    with terminal_of(80) as terminal:
        bar = Bar("published", of, terminal.stream, clock)
        clock.now += 1.0
        bar.report(1)
        assert terminal.screen[0].endswith(f" 1 a second, {left} left")


@pytest.mark.parametrize(
    ("columns", "line"),
    [
        (80, "published 10 of 20 [###############...............] 10 a second, 1 s left"),
        (60, "published 10 of 20 [########........] 10 a second, 1 s left"),
        (50, "published 10 of 20, 10 a second, 1 s left"),
        (30, "published 10 of 20, 10 a seco"),
    ],
)
def test_narrow_terminal_has_a_shorter_bar(columns: int, line: str) -> None:
    """First the bar gives way, then words."""
    clock = Clock()
    with terminal_of(columns) as terminal:
        bar = Bar("published", 20, terminal.stream, clock)
        clock.now += 1.0
        bar.report(10)
        assert terminal.screen == [line]


def test_bar_is_drawn_ten_times_a_second() -> None:
    """However many reports there are; the last is always drawn."""
    clock = Clock()
    with terminal_of(80) as terminal:
        bar = Bar("published", 1000, terminal.stream, clock)
        for done in range(1, 1001):
            clock.now += 0.001
            bar.report(done)
        assert terminal.screen[0].startswith("published 1,000 of 1,000 ")
        assert 8 <= terminal.written.count("\r") <= 13


@pytest.mark.parametrize("of", [0, 1])
def test_bar_of_nothing(of: int) -> None:
    """Nothing to do, or no time passed, is no fault."""
    with terminal_of(80) as terminal:
        bar = Bar("published", of, terminal.stream, Clock())
        bar.report(of)
        assert terminal.screen[0].startswith(f"published {of} of {of} [")


def test_bar_is_silent_elsewhere() -> None:
    """What a timer runs mails nothing but failures."""
    clock, log = Clock(), io.StringIO()
    bar = Bar("published", 10, log, clock)
    clock.now += 100.0
    bar.report(10)
    bar.end()
    assert log.getvalue() == ""
