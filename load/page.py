"""A run as one self-contained HTML page: figures, plots, counts, and no script."""

from collections.abc import Sequence
from html import escape
from typing import Final

from load.display import errors_in_words, remarks
from load.outcome import CURVE, Distribution, Outcome, Second
from load.plots import Line, Tick, legend, plot, time_ticks

_STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c2430; --dim: #66707f; --line: #e3e7ed;
  --page: #f7f8fa; --card: #fff; --a: #2f6fde; --b: #e07b39; --c: #b3b9c4; --bad: #c8362f;
  --good: #23804a; --d: #8a5cd1; }
@media (prefers-color-scheme: dark) { :root { --ink: #e6e9ef; --dim: #98a2b3; --line: #2c3440;
  --page: #12161c; --card: #1a2029; --a: #6ea0ff; --b: #f2a069; --c: #5b6675; --bad: #ff7a70;
  --good: #62c98b; --d: #b493f0; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink);
  font: 15px/1.5 system-ui, -apple-system, "Segoe UI", sans-serif; }
main { max-width: 960px; margin: 0 auto; padding: 32px 20px 64px; }
h1 { font-size: 24px; margin: 0; } h2 { font-size: 16px; margin: 0 0 10px; }
.sub { color: var(--dim); margin: 4px 0 24px; }
.tiles { display: grid; grid-template-columns: repeat(auto-fit, minmax(130px, 1fr));
  gap: 12px; }
.tile, section { background: var(--card); border: 1px solid var(--line); border-radius: 10px; }
.tile { padding: 14px 16px; }
.tile b { display: block; font-size: 19px; white-space: nowrap; font-weight: 600;
  font-variant-numeric: tabular-nums; } .tile span { color: var(--dim); font-size: 13px; }
section { margin-top: 16px; padding: 18px 20px; overflow-x: auto; }
svg { width: 100%; height: auto; display: block; }
.grid { stroke: var(--line); } .tick, .unit { fill: var(--dim); font-size: 11px; }
path { fill: none; stroke-width: 1.8; stroke-linejoin: round; }
path.a { stroke: var(--a); } path.b { stroke: var(--b); } path.bad { stroke: var(--bad); }
path.d { stroke: var(--d); }
path.c { stroke: var(--c); stroke-dasharray: 5 4; }
.legend { margin: 6px 0 0; color: var(--dim); font-size: 13px; }
.key, .key.bad { margin-right: 18px; color: var(--dim); font-weight: 400; }
.key::before { content: ""; display: inline-block; width: 14px;
  height: 3px; border-radius: 2px; margin-right: 6px; vertical-align: middle; }
.key.a::before { background: var(--a); } .key.b::before { background: var(--b); }
.key.d::before { background: var(--d); }
.key.c::before { background: var(--c); } .key.bad::before { background: var(--bad); }
table { border-collapse: collapse; width: 100%; font-variant-numeric: tabular-nums; }
th, td { padding: 5px 10px; border-bottom: 1px solid var(--line); text-align: right; }
th:first-child, td:first-child { text-align: left; padding-left: 0; }
th { color: var(--dim); font-weight: 500; } tr:last-child td { border-bottom: 0; }
.good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; }
.note { color: var(--dim); font-size: 13px; margin: 10px 0 0; }
"""

_NINES: Final = (0.0, 50.0, 90.0, 99.0, 99.9, 99.99, 99.999)
_OPEN_LOOP: Final = (
    "Latency counts from the instant at which a request was meant to be sent, whether or not "
    "the server was still busy with those before."
)


def page(outcome: Outcome) -> str:
    """The whole page."""
    options = outcome.options
    title = f"Load run: {options.profile}"
    sub = (
        f"{options.target}, {outcome.started_at}, {options.duration_s:g} s, {options.batch} "
        f"events a request, {options.connections} connections, {options.processes} "
        f"{'process' if options.processes == 1 else 'processes'}"
    )
    parts = [_tiles(outcome), _rates(outcome), _latencies(outcome), _distribution(outcome)]
    parts += [_percentiles(outcome), _counts(outcome), _expectations(outcome), _around(outcome)]
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(title)}</title><style>{_STYLE}</style></head><body><main>"
        f'<h1>{escape(title)}</h1><p class="sub">{escape(sub)}</p>{"".join(parts)}'
        "</main></body></html>\n"
    )


def _tiles(outcome: Outcome) -> str:
    percentiles = outcome.latencies.percentiles
    is_right = outcome.is_counted_right
    tiles = [
        (f"{outcome.rate_per_s:,.0f}/s", "events acknowledged", ""),
        (f"{percentiles['p50']:.2f} ms", "median", ""),
        (f"{percentiles['p99']:.2f} ms", "p99", ""),
        (f"{outcome.latencies.max:.2f} ms", "longest", ""),
        (f"{outcome.errors:,}", "errors", "bad" if outcome.errors else "good"),
    ]
    if outcome.counts:
        tiles.append(
            ("exact" if is_right else "wrong", "counts", "good" if is_right else "bad")
        )
    inside = "".join(
        f'<div class="tile"><b class="{style}">{figure}</b><span>{name}</span></div>'
        for figure, name, style in tiles
    )
    return f'<div class="tiles">{inside}</div>'


def _over_time(
    outcome: Outcome, title: str, lines: Sequence[Line], unit: str, note: str
) -> str:
    duration_s = outcome.options.duration_s
    drawn = plot(
        lines,
        label=title,
        unit=unit,
        x_ticks=time_ticks(duration_s),
        x_span=(0.0, max(duration_s, 1.0)),
        is_log=unit == "ms",
    )
    said = f'<p class="note">{escape(note)}</p>' if note else ""
    return f"<section><h2>{escape(title)}</h2>{drawn}{legend(lines)}{said}</section>"


def _whole(outcome: Outcome) -> list[Second]:
    """The seconds of the run; what came while it drained is in the figures, and not here."""
    return [one for one in outcome.seconds if one.second < outcome.options.duration_s]


def _rates(outcome: Outcome) -> str:
    seconds = _whole(outcome)
    lines = [Line("acknowledged", "a", [(s.second + 0.5, s.events) for s in seconds])]
    offered = [(s.second + 0.5, s.offered) for s in seconds if s.offered is not None]
    if offered:
        lines.append(Line("offered", "c", offered))
    if outcome.errors:
        batch = outcome.options.batch
        failed = [(s.second + 0.5, float(s.errors * batch)) for s in seconds]
        lines.append(Line("refused or lost", "bad", failed))
    return _over_time(outcome, "Rate", lines, "events/s", "")


def _latencies(outcome: Outcome) -> str:
    seconds = _whole(outcome)
    lines = [
        Line("p50", "a", [(s.second + 0.5, s.p50) for s in seconds]),
        Line("p99", "b", [(s.second + 0.5, s.p99) for s in seconds]),
        Line("longest", "c", [(s.second + 0.5, s.max) for s in seconds]),
    ]
    reads = [(s.second + 0.5, s.reads_p99) for s in seconds if s.reads_p99 is not None]
    if reads:
        lines.append(Line("p99 of queries", "d", reads))
    return _over_time(outcome, "Latency of each second", lines, "ms", _OPEN_LOOP)


def _distribution(outcome: Outcome) -> str:
    # Every further nine takes as much room as the one before, as in HDR plots.
    places = [0.05 * step for step in range(len(CURVE))]
    curve = [(at, ms) for at, (_, ms) in zip(places, outcome.latencies.curve, strict=True)]
    lines = [Line("writes", "a", curve)]
    if outcome.reads is not None:
        pairs = zip(places, outcome.reads.latencies.curve, strict=True)
        lines.append(Line("queries", "d", [(at, ms) for at, (_, ms) in pairs]))
    ticks = [Tick(_place(percent), f"{percent:g} %") for percent in _NINES]
    drawn = plot(
        lines,
        label="Latency by percentile",
        unit="ms",
        x_ticks=ticks,
        x_span=(0.0, places[-1]),
        is_log=True,
    )
    return f"<section><h2>Latency by percentile</h2>{drawn}{legend(lines)}</section>"


def _place(percent: float) -> float:
    return next(0.05 * step for step, one in enumerate(CURVE) if one >= percent - 1e-9)


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A table of cells that are HTML already."""
    head = "".join(f"<th>{escape(one)}</th>" for one in heads)
    body = "".join(f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _percentiles(outcome: Outcome) -> str:
    names = [*outcome.latencies.percentiles, "max", "mean", "count"]
    rows = [["writes", *_cells(outcome.latencies)]]
    if outcome.reads is not None:
        rows.append(["queries", *_cells(outcome.reads.latencies)])
    return f"<section><h2>Latencies in ms</h2>{_table(['', *names], rows)}</section>"


def _cells(latencies: Distribution) -> list[str]:
    figures = [*latencies.percentiles.values(), latencies.max, latencies.mean]
    return [*(f"{ms:,.2f}" for ms in figures), f"{latencies.count:,}"]


def _counts(outcome: Outcome) -> str:
    if not outcome.counts:
        return ""
    rows = [
        [
            escape(row.figure),
            f"{row.acknowledged:,}",
            f"{row.unknown:,}",
            f"{row.counted:,}",
            f'<span class="{"good" if row.is_right else "bad"}">{row.verdict}</span>',
        ]
        for row in outcome.counts
    ]
    heads = ["figure", "acknowledged", "unknown", "counted by the server", ""]
    note = "What the server's own metrics have grown by, against what it acknowledged."
    return (
        f"<section><h2>Counts</h2>{_table(heads, rows)}"
        f'<p class="note">{escape(note)}</p></section>'
    )


def _expectations(outcome: Outcome) -> str:
    if not outcome.expectations:
        return ""
    rows = [
        [
            escape(one.threshold),
            f"{one.measured:,.2f}",
            f'<span class="{"good" if one.met else "bad"}">{"met" if one.met else "not met"}'
            "</span>",
        ]
        for one in outcome.expectations
    ]
    return f"<section><h2>Thresholds</h2>{_table(['expected', 'measured', ''], rows)}</section>"


def _around(outcome: Outcome) -> str:
    options, machine, generator = outcome.options, outcome.machine, outcome.generator
    rows = [
        ["errors", escape(errors_in_words(outcome))],
        ["asked for", f"{options.rate_per_s:,.0f} events/s for {options.duration_s:g} s"],
        ["seed, label", f"{options.seed}, {escape(options.label)}"],
        ["generator", f"{generator.cpu_s:.2f} s of CPU; itself late by p99 "
         f"{generator.lateness_p99:.2f} ms, at most {generator.lateness_max:.2f} ms"],
        ["machine of the generator", f"{escape(machine.system)}, {machine.cores} cores, Python "
         f"{machine.python}, load average {machine.load_average:g}"],
    ]  # fmt: skip
    notes = "".join(f'<p class="note">{escape(one)}</p>' for one in remarks(outcome))
    return f"<section><h2>Around it</h2>{_table(['', ''], rows)}{notes}</section>"
