"""The example site, installed from its tarballs into an empty folder, built, and running.

site = Site.install(folder)        # packs, copies, npm ci
site.build()                       # next build
with site.running(tallymark_url, data) as url:  # with somebody who can sign in
    httpx.get(url + "/analytics")
"""

import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx

from tests.server import ROOT, environment, free_port

EXAMPLE = ROOT / "examples/payload-site"
PACKAGES = (ROOT / "clients/typescript", ROOT / "clients/payload")

EMAIL = "editor@example.com"
PASSWORD = "of the tests"

INSTALLED_WITHIN_S = 900.0
"""npm and Next on two cores with other work beside: when to believe that they hang."""
STARTED_WITHIN_S = 120.0


class Site:
    """A folder with the example site; `url` is where the one runs that all tests share."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.url = ""

    @classmethod
    def install(cls, folder: Path) -> "Site":
        """Pack both packages, and install the site with them as a new clone would."""
        made = {"node_modules", ".next", "packages", ".env", "next-env.d.ts"}
        shutil.copytree(
            EXAMPLE,
            folder,
            ignore=lambda _, names: made & set(names) | {n for n in names if ".db" in n},
        )
        site = cls(folder)
        (folder / "packages").mkdir()
        for package in PACKAGES:
            site.run("npm", "pack", "--silent", "--pack-destination", "packages", str(package))
        site.run("npm", "ci", "--silent", "--prefer-offline")
        return site

    def build(self) -> None:
        """What `npm run build` does."""
        self.run("npm", "run", "build")

    def run(self, *words: str, **more: str) -> str:
        """Run a command of the site to its end, and return what it said."""
        done = subprocess.run(
            words,
            cwd=self.folder,
            env=self.environment() | more,
            capture_output=True,
            text=True,
            timeout=INSTALLED_WITHIN_S,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def environment(self) -> dict[str, str]:
        """The settings of the site, of which Tallymark's address is not one yet."""
        return environment() | {
            "NEXT_TELEMETRY_DISABLED": "1",
            "PAYLOAD_SECRET": "of the tests",
            "NEXT_PUBLIC_ANALYTICS_API_URL": "/api/tallymark",
        }

    @contextmanager
    def running(
        self, tallymark_url: str, data: Path, port: int | None = None, **more: str
    ) -> Iterator[str]:
        """The site on a new database in `data`, asking the Tallymark at this address.

        Gives its own address, on `port` or a free one.
        """
        settings = {
            "TALLYMARK_URL": tallymark_url,
            "DATABASE_URL": f"file:{data}/site.db",
            "SITE_EMAIL": EMAIL,
            "SITE_PASSWORD": PASSWORD,
            "SITE_EMPTY": "1",
            **more,
        }
        self.run("npm", "run", "seed", **settings)
        port = port or free_port()
        log = data / "site.log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                ["node", "node_modules/next/dist/bin/next", "start", "-p", str(port)],
                cwd=self.folder,
                env=self.environment() | settings,
                stdout=out,
                stderr=subprocess.STDOUT,
            )
        try:
            url = f"http://localhost:{port}"
            _wait_until_it_answers(url, process, log)
            yield url
        finally:
            process.terminate()
            process.wait(STARTED_WITHIN_S)


def _wait_until_it_answers(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    end = time.monotonic() + STARTED_WITHIN_S
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"{url}/admin/login", timeout=STARTED_WITHIN_S).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)  # there is nothing to wait for but the port
    raise AssertionError(log.read_text())
