"""A translation page on the loopback interface that responds after a fixed delay, until its input is closed.

    python benchmarks/slow_server.py SECONDS

Prints the page's URL. It runs the server of the tests (tests/translate_server.py) in a separate process.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from translate_server import Service, serving

if __name__ == "__main__":
    with serving(Service(delay_s=lambda number: float(sys.argv[1]))) as service:
        sys.stdout.write(service.url + "\n")
        sys.stdout.flush()
        sys.stdin.read()
