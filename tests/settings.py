"""The settings that tests run with. What a person sets in the working tree's params.yaml and profiles changes no test.

No test reads those files but through this module; `tests/pipeline/test_infrastructure.py` looks for it.
"""

import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
# A params.yaml, and profiles/ with mini, tiny, thesis and own: like the repository's, but the tests' own.
SETTINGS = Path(__file__).resolve().parent / "fixtures" / "settings"


def committed(path: str) -> str:
    """A settings file of the last commit, for tests of what is shipped; of the source archive where there is no git."""
    done = subprocess.run(["git", "show", f"HEAD:{path}"], cwd=ROOT, capture_output=True, check=False)
    return (done.stdout if done.returncode == 0 else (ROOT / path).read_bytes()).decode()
