"""Tallymark with demonstration data, and the site beside it: `make payload-demo`."""

import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from contextlib import ExitStack
from pathlib import Path

SITE = Path(__file__).parent
PATIENCE_S = 60


def main() -> None:
    """Start both, print where to look, and stop both."""
    with ExitStack() as stack:
        data = stack.enter_context(tempfile.TemporaryDirectory(prefix="tallymark-demo-"))
        service, site = (f"http://127.0.0.1:{port}" for port in free_ports(2))
        tallymark = (sys.executable, "-m", "web.cli")
        words = ("serve", "--data", data, "--port", service.rpartition(":")[2], "--no-archive")
        stack.callback(stop, subprocess.Popen([*tallymark, *words]))
        wait_for(f"{service}/ready")
        subprocess.run([*tallymark, "demo", "--url", service, "--days", "30"], check=True)
        environment = os.environ | {
            "TALLYMARK_URL": service,
            "NEXT_PUBLIC_ANALYTICS_API_URL": "/api/tallymark",
            "NEXT_TELEMETRY_DISABLED": "1",
            "PAYLOAD_SECRET": "of the demonstration",
            "DATABASE_URL": f"file:{data}/site.db",
            "SITE_EMAIL": "demo@example.com",
            "SITE_PASSWORD": "tallymark",
        }
        for script in ("seed", "build"):
            subprocess.run(["npm", "run", script], cwd=SITE, env=environment, check=True)
        port = site.rpartition(":")[2]
        words = ("start", "-p", port, "-H", "127.0.0.1")
        next_server = ("node", "node_modules/next/dist/bin/next", *words)
        running = subprocess.Popen(next_server, cwd=SITE, env=environment)
        stack.callback(stop, running)
        wait_for(f"{site}/admin/login")
        print(
            f"\nThe dashboard   {site}/analytics\n"
            f"The admin       {site}/admin/analytics\n"
            "Sign in first   demo@example.com, password tallymark\n"
            f"Tallymark       {service}\n",
            flush=True,
        )
        running.wait()


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]


def wait_for(url: str) -> None:
    """Return when the address answers 200."""
    end = time.monotonic() + PATIENCE_S
    while time.monotonic() < end:
        try:
            with urllib.request.urlopen(url, timeout=PATIENCE_S):
                return
        except OSError:
            time.sleep(0.2)
    raise SystemExit(f"{url} does not answer.")


def stop(process: subprocess.Popen[bytes]) -> None:
    """Ask it to end, and wait until it has."""
    process.send_signal(signal.SIGTERM)
    process.wait(PATIENCE_S)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)
