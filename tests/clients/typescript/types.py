"""The types of the TypeScript client, written from what a server says of itself."""

import sys
import tempfile
from pathlib import Path

from tests.clients.typescript.package import PACKAGE, run
from tests.server import Server


def written(server: Server) -> str:
    """What src/api.ts has to be for this server."""
    with tempfile.TemporaryDirectory() as folder:
        description = Path(folder) / "openapi.json"
        description.write_text(server.client.get("/openapi.json").text)
        return run("node", "scripts/types.mjs", str(description), cwd=PACKAGE)


def main() -> None:
    """Write it to the standard output."""
    with tempfile.TemporaryDirectory() as folder, Server(Path(folder) / "data") as server:
        sys.stdout.write(written(server))


if __name__ == "__main__":
    main()
