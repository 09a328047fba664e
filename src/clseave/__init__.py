"""Cross-lingual visual entailment: English CLIP-VE, taught to other languages sentence by sentence.

from clseave import Entailment
model = Entailment.from_pretrained("models/mini")
model.predict("photo.png", ["Oben ist ein Kreis", "上に円があります"], ["de", "ja"])
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from clseave.inference.entailment import Entailment, Prediction

__all__ = ["Entailment", "Prediction"]


def __getattr__(name: str) -> Any:
    """Load the Python interface when it is first used: stages set the environment before torch is imported."""
    if name in __all__:
        from clseave.inference import entailment

        return getattr(entailment, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
