"""Imported first by every program in this folder: adds `src` to the module search path."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))
