"""Run a stage or a command with the code beside this file: `python src/run.py NAME ...`, as dvc.yaml does.

A script, not `python -m` or the console script `clseave`: started by its path it imports the copy of the code it
belongs to, also in the temporary trees of `dvc exp run --temp` and `--queue`.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent))

from clseave.foundation.process import interrupts

interrupts.end_in_one_line()  # also while the rest is loaded

from clseave.foundation.process.entry import main, set_environment  # noqa: E402, F401 (the second for tools/preload)

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
