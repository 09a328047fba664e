"""Low-rank adapters (LoRA, Hu et al. 2022): a text encoder's weights are frozen, small matrices beside them trained.

The package `peft` makes them; it is the extra `lora`. After training they are added to the weights, so that a saved
student has the layout of any other.
"""

from importlib.util import find_spec

from transformers import PreTrainedModel

from clseave.foundation.errors import UserError
from clseave.foundation.settings.schema import Lora


def add_adapters(encoder: PreTrainedModel, settings: Lora) -> None:
    """Freeze the weights and add an adapter to every linear layer: W x becomes W x + alpha / rank * B A x.

    A (rank, in) is drawn, B (out, rank) is zero, so that nothing changes before the first step. UserError without peft.
    """
    if find_spec("peft") is None:
        raise UserError("clseave.lora needs peft: `pip install peft`, or 'clseave[lora]'")
    from peft import LoraConfig, inject_adapter_in_model

    config = LoraConfig(
        r=settings.rank, lora_alpha=settings.alpha, lora_dropout=settings.dropout, target_modules="all-linear"
    )
    encoder.requires_grad_(False)
    inject_adapter_in_model(config, encoder)


def merge_adapters(encoder: PreTrainedModel) -> None:
    """Add the adapters to the weights and remove them; without adapters nothing changes."""
    adapted = [(name, module) for name, module in encoder.named_modules() if hasattr(module, "lora_A")]
    for name, module in adapted:
        module.merge()
        parent, _, last = name.rpartition(".")
        setattr(encoder.get_submodule(parent), last, module.get_base_layer())
    if adapted:
        vars(encoder).pop("peft_config", None)  # which `peft` leaves
        encoder.requires_grad_(True)
