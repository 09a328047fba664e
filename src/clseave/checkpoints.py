"""Loading a transformers model from a folder: from disk only, with every weight found."""

from pathlib import Path
from typing import Any, TypeVar

from transformers import PreTrainedModel

from clseave.errors import UserError

Model = TypeVar("Model", bound=PreTrainedModel)


def load_model(kind: type[Model], folder: Path | str, **settings: Any) -> Model:
    """A model in evaluation mode. UserError when the folder holds none, or lacks a weight that would stay random."""
    try:
        model, report = kind.from_pretrained(
            folder, attn_implementation="eager", local_files_only=True, output_loading_info=True, **settings
        )
    except OSError as error:
        raise UserError(f"{folder} holds no {kind.__name__}: run the stage that writes it (`dvc repro`)") from error
    if missing := sorted(report["missing_keys"]):
        raise UserError(f"{folder} lacks {len(missing)} weights of {kind.__name__}, the first {missing[0]}")
    return model.eval()
