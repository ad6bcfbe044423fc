"""`make bench-page`: what the page weighs, and when its first figures stand, in a real browser.

The demonstration's Overview and a table of a thousand services, each opened with an empty cache
and again with a full one, on loopback and through a network as slow as its name says. Times
count from the start of the navigation, by the page's own clock; medians of the rounds.
"""

import argparse
import os
import platform
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from typing import Any, Final

from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from tests.server import Server, tallymark

SERVICES: Final = 1_000
BATCH: Final = 25
PATIENCE_MS: Final = 120_000


@dataclass(frozen=True, slots=True)
class Network:
    """Bytes a second in both directions, and milliseconds that each answer is late."""

    name: str
    bytes_a_second: int = -1
    latency_ms: int = 0


NETWORKS: Final = (
    Network("loopback"),
    Network("1.6 Mbit/s, 150 ms", 200_000, 150),  # Lighthouse's slow 4G
    Network("400 kbit/s, 400 ms", 50_000, 400),
)

MOMENTS: Final = ("paint", "figures", "whole")

# `figures` is when the band of today has its numbers, or the table its rows; `whole` when no
# part is loading any more. Observed, not polled, so that nothing is added to what is measured.
WATCH: Final = """
window.told = {};
const look = () => {
  const now = performance.now();
  const main = document.querySelector(".shell:not(.opening) main");
  if (main === null) return;
  const hasFigures = main.querySelector(".stats") !== null
    ? main.querySelector(".is-loading") === null : main.querySelector("tbody tr") !== null;
  if (hasFigures) told.figures ??= now;
  if (main.querySelector("[aria-busy=true]") === null && hasFigures) told.whole ??= now;
};
const all = { subtree: true, childList: true, attributes: true };
new MutationObserver(look).observe(document, all);
"""


def main() -> None:
    """Print a line for each page, network and state of the cache."""
    parser = argparse.ArgumentParser(prog="python -m bench.page", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    load = " ".join(f"{value:.2f}" for value in os.getloadavg())
    now = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    with tempfile.TemporaryDirectory() as folder, _browser() as browser:
        print(
            f"{now}, {os.cpu_count()} cores {platform.machine()}, load average {load},", end=" "
        )
        print(f"Chromium {browser.version}\n")
        with Server(Path(folder) / "demo", "--archive") as demo:
            assert tallymark("demo", "--url", demo.url).returncode == 0
            _opened(browser, demo, "Overview", "/", rounds)
        with Server(Path(folder) / "many", "--archive") as many:
            _fill(many)
            _opened(browser, many, f"{SERVICES:,} services", "/#/services", rounds)
            _used(browser, many, rounds)


@contextmanager
def _browser() -> Iterator[Browser]:
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    flags = ["--no-sandbox", "--disable-dev-shm-usage", "--disable-gpu"]
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=flags)
        yield browser
        browser.close()


def _fill(server: Server) -> None:
    for at in range(0, SERVICES, BATCH):
        batch = [
            {"eventType": "service_execution", "serviceId": f"s-{no:04}", "latencyMs": no,
             "serviceName": f"Service number {no}", "success": True, "category": f"c-{no % 7}"}
            for no in range(at, at + BATCH)
        ]  # fmt: skip
        assert server.client.post("/track/batch", json=batch).status_code == 200


def _opened(browser: Browser, server: Server, name: str, path: str, rounds: int) -> None:
    for network in NETWORKS:
        found: dict[str, list[dict[str, float]]] = {"empty": [], "full": []}
        for _ in range(rounds):
            context = browser.new_context(viewport={"width": 1440, "height": 900})
            for cache in found:
                found[cache].append(_visit(context, network, server.url + path))
            context.close()
        for cache, visits in found.items():
            told = {what: median(visit[what] for visit in visits) for what in visits[0]}
            moments = ", ".join(f"{what} {told[what]:.0f} ms" for what in MOMENTS)
            sizes = f"{told['requests']:.0f} requests, {told['kilobytes']:.1f} KB"
            print(f"{name:14} {network.name:20} cache {cache:5} {sizes}, {moments}")


def _visit(context: BrowserContext, network: Network, url: str) -> dict[str, float]:
    """One visit by a page of its own: requests, KB over the network, and its moments in ms."""
    page = context.new_page()
    page.add_init_script(WATCH)
    wire = context.new_cdp_session(page)
    sizes: list[float] = []
    wire.on("Network.loadingFinished", lambda one: sizes.append(one["encodedDataLength"]))
    wire.send("Network.enable")
    conditions: dict[str, Any] = {"offline": False, "latency": network.latency_ms}
    speed = network.bytes_a_second
    conditions |= {"downloadThroughput": speed, "uploadThroughput": speed}
    wire.send("Network.emulateNetworkConditions", conditions)
    page.goto(url, wait_until="commit", timeout=PATIENCE_MS)
    told = _told(page)
    page.close()
    return told | {"requests": float(len(sizes)), "kilobytes": sum(sizes) / 1000}


def _told(page: Page) -> dict[str, float]:
    found: dict[str, float] = page.evaluate(
        """async (patienceMs) => {
            while (told.whole === undefined && performance.now() < patienceMs)
                await new Promise(requestAnimationFrame);
            const [paint] = performance.getEntriesByName("first-contentful-paint");
            return { ...told, paint: paint.startTime };
        }""",
        PATIENCE_MS,
    )
    return found


def _used(browser: Browser, server: Server, rounds: int) -> None:
    """How long the table of a thousand services takes to show what is asked of it, in ms."""
    page = browser.new_page(viewport={"width": 1440, "height": 900})
    page.add_init_script(WATCH)
    page.goto(server.url + "/#/services")
    _told(page)
    took: dict[str, list[float]] = {"search": [], "sort": [], "next rows": []}
    for _ in range(rounds):
        for what, latencies in took.items():
            latencies.append(page.evaluate(ACTS, what))
    print()
    for what, latencies in took.items():
        print(
            f"{SERVICES:,} services, {what:10} {median(latencies):6.1f} ms until it is painted"
        )


# From the input to the frame in which the first row is another one.
ACTS: Final = """async (what) => {
  const rows = () => document.querySelectorAll("main tbody tr");
  const first = () => rows()[0]?.textContent;
  const frame = () => new Promise(requestAnimationFrame);
  const until = async (is) => { while (!is()) await frame(); };
  const box = document.querySelector("[data-search]");
  const type = (text) => {
    box.value = text;
    box.dispatchEvent(new Event("input", { bubbles: true }));
  };
  const press = (text) => {
    const buttons = [...document.querySelectorAll("main button")];
    buttons.find((one) => one.textContent.includes(text)).click();
  };
  const acts = {
    search: () => type("number 77"),
    sort: () => press("p95"),
    "next rows": () => press("Further"),
  };
  const before = first();
  const begun = performance.now();
  acts[what]();
  await until(() => first() !== before);
  await frame();
  const took = performance.now() - begun;
  type("");
  await until(() => rows().length === 50);
  return took;
}"""


if __name__ == "__main__":
    main()
