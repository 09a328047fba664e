"""Cross-lingual visual entailment: English CLIP-VE, taught to other languages sentence by sentence.

from clseave import Entailment
model = Entailment.from_pretrained("models/mini")
model.predict("photo.png", ["Oben ist ein Kreis", "上に円があります"], ["de", "ja"])
"""

import importlib
from typing import Any

__all__ = ["Entailment", "Prediction"]


def __getattr__(name: str) -> Any:
    """Load the Python interface when it is first used.

    By its name, not by an import: no stage depends on it, and stages set the environment before torch is imported.
    """
    if name in __all__:
        return getattr(importlib.import_module("clseave.inference.entailment"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
