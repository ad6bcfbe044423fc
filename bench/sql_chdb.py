"""chdb over a Parquet file, for `bench.sql`: questions come in, times go out.

Run by the Python of .venv-bench, where chdb may be installed: it takes 500 MB, so nobody gets
it unasked. A line of JSON holds one question, the answer is the milliseconds that it took.
"""

import json
import sys
import time

from chdb.session import Session


def main() -> None:
    """Answer until the input ends."""
    session = Session()
    print(session.query("SELECT version()").data().strip('"\n'), flush=True)
    for line in sys.stdin:
        question = json.loads(line)
        began = time.perf_counter()
        session.query(question)
        print((time.perf_counter() - began) * 1_000, flush=True)


if __name__ == "__main__":
    main()
