from roskva.conformance.transcript import FIRST, LAST, WIDTH, Transcript


def test_a_line_tells_when_who_which_way_and_what() -> None:
    """Line ends are spelled out."""
    transcript = Transcript()
    transcript.note("agent1", "→", "GET / HTTP/1.1\r\n")
    assert transcript.lines[0].endswith(" agent1 → GET / HTTP/1.1\\r\\n")


def test_what_is_not_printable_is_spelled_out() -> None:
    """No server can write to the reader's terminal as it likes."""
    transcript = Transcript()
    transcript.note("agent1", "←", "\x1b[2J\u2028\ud800 größer")
    assert transcript.lines[0].endswith(" agent1 ← \\x1b[2J\\u2028\\ud800 größer")


def test_the_middle_of_a_long_case_is_left_out() -> None:
    """A flood doesn't fill the report."""
    transcript = Transcript()
    for number in range(1000):
        transcript.note("agent1", "→", f"message {number}")
    lines = transcript.lines
    assert len(lines) == FIRST + LAST + 1
    assert lines[0].endswith("message 0")
    assert lines[-1].endswith("message 999")
    assert f"{1000 - FIRST - LAST:,} lines left out" in lines[FIRST]


def test_a_long_line_is_cut() -> None:
    """Its length is told."""
    transcript = Transcript()
    transcript.note("agent1", "→", "x" * 70_000)
    assert len(transcript.lines[0]) < WIDTH + 60
    assert transcript.lines[0].endswith("… (70,000 characters)")
