"""What people see of a run: the page, its plots, and the table of the terminal."""

import io
import re
from xml.etree import ElementTree as ET

import msgspec
import pytest
from rich.console import Console

from load import display, plots
from load.check import Row
from load.latency import Latencies
from load.outcome import Distribution, Generator, Outcome, Reads, Second, Verdict
from load.page import page
from load.plots import POINTS_MAX, Line, Tick, thinned, time_ticks
from tests.load.outcomes import an_outcome

READS = Reads(
    latencies=Distribution.of(Latencies.of([20_000] * 10)),
    errors={},
    frames=900,
    frames_expected=900,
)
LOST = Row(figure="views", acknowledged=9, unknown=0, counted=8, verdict="lost")


def printed(outcome: Outcome) -> str:
    console = Console(file=io.StringIO(), width=120)
    console.print(display.told(outcome))
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_the_page_stands_by_itself() -> None:
    html = page(an_outcome(reads=READS))
    assert html.startswith("<!doctype html>")
    assert not re.search(r"<script|<link|<img|@import|url\(|https?://(?!127)", html)
    assert html.count("<svg") == 3


def test_the_page_is_well_formed_and_shows_foreign_text_as_text() -> None:
    html = page(an_outcome(reads=READS, counts=[LOST]))
    whole = re.sub(r"<meta ([^>]*)>", r"<meta \1/>", html.removeprefix("<!doctype html>"))
    ET.fromstring(whole)
    assert "http://127.0.0.1:8080/&lt;x&gt;" in html
    assert "&lt;full&gt;" in html


def test_the_page_has_the_figures_that_the_run_had() -> None:
    html = page(
        an_outcome(
            counts=[LOST], expectations=[Verdict(threshold="p99<1ms", measured=9.9, met=False)]
        )
    )
    for figure in ("9,990/s", "9.90 ms", "5.00 ms", "lost", "not met", "2 refused with 503"):
        assert figure in html, figure


def test_a_run_in_which_nothing_was_acknowledged_still_has_a_page() -> None:
    nothing = Distribution.of(Latencies())
    seconds = [Second(second=0, offered=None, events=0, errors=1, p50=0, p99=0, max=0)]
    ET.fromstring(
        re.search(r"<svg.*?</svg>", page(an_outcome(latencies=nothing, seconds=seconds)))[0]
    )


def test_a_second_without_an_answer_is_a_gap_in_the_line() -> None:
    line = Line("p99", "a", [(0, 5.0), (1, 0.0), (2, 5.0), (3, 6.0)])
    drawn = plots.plot([line], label="", unit="ms", x_ticks=[], x_span=(0, 3), is_log=True)
    assert re.search(r'd="([^"]*)"', drawn)[1].count("M") == 2


def test_a_long_line_is_thinned_and_keeps_its_peaks() -> None:
    points = [(float(x), 1.0) for x in range(10 * POINTS_MAX)]
    points[1234] = (1234.0, 99.0)
    found = thinned(points)
    assert len(found) == POINTS_MAX
    assert max(y for _, y in found) == 99.0


@pytest.mark.parametrize(
    ("duration_s", "last"), [(1, "1 s"), (60, "60 s"), (600, "10 min"), (7_200, "2 h")]
)
def test_the_marks_of_time_are_round_and_few(duration_s: float, last: str) -> None:
    ticks = time_ticks(duration_s)
    assert len(ticks) <= 11
    assert ticks[-1] == Tick(duration_s, last)


def test_the_table_has_the_figures_the_counts_and_the_thresholds() -> None:
    met = Verdict(threshold="p99<10ms", measured=9.9, met=True)
    text = printed(an_outcome(counts=[LOST], expectations=[met], reads=READS))
    assert re.search(r"views +9 +8 +lost", text)
    assert re.search(r"p99<10ms +9.90 +met", text)
    assert "p99 9.90" in text
    assert re.search(r"10 queries, p50 20\.\d\d ms", text)
    assert "1 of the lost found an answer later (0.12 %)" in text


def test_queries_that_failed_are_told_with_their_reasons() -> None:
    reads = msgspec.structs.replace(READS, errors={"no answer in time": 228, "503": 2})
    text = " ".join(printed(an_outcome(reads=reads)).split())
    assert "230 failed (228 no answer in time, 2 refused with 503); 900 frames" in text


def test_a_reader_is_told_when_the_generator_was_late_or_ran_out_of_connections() -> None:
    late = Generator(cpu_s=1, lateness_p99=5, lateness_max=9)
    said = " ".join(display.remarks(an_outcome(generator=late)))
    assert "The generator was itself late (p99 5.0 ms)" in said
    assert "2 requests were due and never sent" in said
    assert "503: The queue is <full>." in said


def test_the_live_table_follows_the_run_on_a_terminal_and_is_silent_elsewhere() -> None:
    second = an_outcome().seconds[3]
    for is_terminal in (True, False):
        console = Console(file=io.StringIO(), width=120, force_terminal=is_terminal)
        with display.live(console, title="steady", duration_s=10) as tell:
            tell(second)
            tell(msgspec.structs.replace(second, second=4, reads_p99=3.0, frames=100))
        assert isinstance(console.file, io.StringIO)
        assert ("9,990" in console.file.getvalue()) is is_terminal


def test_a_sparkline_has_one_character_for_each_value() -> None:
    assert display.sparkline([0, 5, 10]) == "▁▅█"
    assert display.sparkline([0, 0]) == "▁▁"
    assert display.sparkline([]) == ""
