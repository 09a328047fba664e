"""The two towers of a teacher: CLIP's, or those of another dual encoder, each with its own pooling and projection."""

from pathlib import Path

import torch
from torch import nn
from torch.nn import functional
from transformers import (
    CLIPTextModelWithProjection,
    CLIPVisionModelWithProjection,
    PreTrainedModel,
    PreTrainedTokenizerBase,
)

from clseave.foundation.errors import UserError
from clseave.models.loading import is_clip, load_dual_encoder, load_model
from clseave.models.tokens import checked_end, load_tokenizer

TEXT, IMAGE = ("text_model", "text_projection"), ("vision_model", "visual_projection")  # parts of a dual encoder


class TextTower(nn.Module):
    """CLIP's text tower with its projection."""

    def __init__(self, model: CLIPTextModelWithProjection, tokenizer: PreTrainedTokenizerBase):
        """UserError when model and tokenizer disagree on the end token: CLIP would pool the wrong position."""
        super().__init__()
        self.model, self.tokenizer = model, tokenizer
        checked_end(tokenizer, model.config)

    @property
    def width(self) -> int:
        """Size of a sentence vector."""
        return int(self.model.config.projection_dim)

    @property
    def states_width(self) -> int:
        """Size of a token state."""
        return int(self.model.config.hidden_size)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Sentence vectors, not normalised: (B, T) ids and mask -> (B, D)."""
        return self.model(input_ids=ids, attention_mask=mask).text_embeds

    def final_states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token states of the last layer, before the final norm and the projection: (B, T) -> (B, T, W)."""
        return self.model.text_model(input_ids=ids, attention_mask=mask, output_hidden_states=True).hidden_states[-1]

    def projected_states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token states after the final norm and the projection, (B, T) -> (B, T, D): at [EOS] the sentence vector."""
        states = self.model.text_model.final_layer_norm(self.final_states(ids, mask))
        return self.model.text_projection(states)

    def save(self, folder: Path | str) -> None:
        """Write the tower in Hugging Face layout."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    @classmethod
    def load(cls, folder: Path | str) -> "TextTower":
        """Read the tower from its own folder or from a whole CLIP's. UserError for another teacher's."""
        if not is_clip(folder):
            raise UserError(f"{folder}: found another teacher than CLIP, whose final norm and projection are needed")
        return cls(load_model(CLIPTextModelWithProjection, folder), load_tokenizer(folder))


class DualTextTower(nn.Module):
    """The text side of another dual encoder, such as Chinese-CLIP: its own pooling and projection."""

    def __init__(self, model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase):
        """Drop the image side of `model`. UserError when model and tokenizer disagree on the end token."""
        super().__init__()
        self.model, self.tokenizer = without(model, IMAGE), tokenizer
        settings = model.config.text_config
        checked_end(tokenizer, settings)
        siglip = model.config.model_type == "siglip"
        self.length = settings.max_position_embeddings if siglip else None  # SigLIP sees padding up to it, unmasked
        self.width = int(settings.projection_size if siglip else model.config.projection_dim)
        self.states_width = int(settings.hidden_size)

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Sentence vectors, not normalised: (B, T) ids and mask -> (B, D)."""
        return self.model.get_text_features(**self._inputs(ids, mask)).pooler_output

    def final_states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Token states of the last layer: (B, T) -> (B, T, W)."""
        found = self.model.text_model(**self._inputs(ids, mask), output_hidden_states=True)
        return found.hidden_states[-1][:, : ids.shape[1]]

    def projected_states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """UserError: only CLIP projects the state of one token with a norm and a linear map."""
        raise UserError(f"clteave.targets: found 'projected', allowed with {self.model.config.model_type}: states")

    def _inputs(self, ids: torch.Tensor, mask: torch.Tensor) -> dict[str, torch.Tensor]:
        """Ids and mask, (B, T); of SigLIP the ids alone, padded to its fixed length."""
        if self.length is None:
            return {"input_ids": ids, "attention_mask": mask}
        padding = self.tokenizer.pad_token_id
        extra = (0, self.length - ids.shape[1])
        return {"input_ids": functional.pad(ids.masked_fill(mask == 0, padding), extra, value=padding)}

    def save(self, folder: Path | str) -> None:
        """Write the text side in Hugging Face layout."""
        self.model.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)

    @classmethod
    def load(cls, folder: Path | str) -> "DualTextTower":
        """Read the tower from its own folder or from a whole dual encoder's, as the stage `backbones` leaves it."""
        return cls(load_dual_encoder(folder, may_lack=IMAGE), load_tokenizer(folder))


class ImageTower(nn.Module):
    """The image side of a teacher, frozen."""

    def __init__(self, model: PreTrainedModel):
        super().__init__()
        self.model = model
        whole = model.config
        self.settings = getattr(whole, "vision_config", whole)  # of CLIP's image tower alone there is one level only
        siglip = whole.model_type == "siglip"
        self.width = int(self.settings.hidden_size if siglip else whole.projection_dim)

    @property
    def device(self) -> torch.device:
        """Where the weights are."""
        return self.model.device

    def forward(self, pixels: torch.Tensor) -> torch.Tensor:
        """Image vectors, not normalised: preprocessed images (B, 3, H, W) -> (B, D)."""
        if isinstance(self.model, CLIPVisionModelWithProjection):
            return self.model(pixel_values=pixels).image_embeds
        return self.model.get_image_features(pixel_values=pixels).pooler_output

    def save(self, folder: Path | str) -> None:
        """Write the image side in Hugging Face layout."""
        self.model.save_pretrained(folder)

    @classmethod
    def load(cls, folder: Path | str) -> "ImageTower":
        """Read the tower from its own folder or from a whole teacher's."""
        if is_clip(folder):
            return cls(load_model(CLIPVisionModelWithProjection, folder))
        return cls(without(load_dual_encoder(folder, may_lack=TEXT), TEXT))


AnyTextTower = TextTower | DualTextTower


def load_text_tower(folder: Path | str) -> AnyTextTower:
    """Read a teacher's text tower from its own folder or from the whole teacher's."""
    return (TextTower if is_clip(folder) else DualTextTower).load(folder)


@torch.no_grad()
def require_vectors(folder: Path | str, model: PreTrainedModel) -> None:
    """Raise UserError for a dual encoder one of whose sides gives no vector, since it has no pooling."""
    vision = model.config.vision_config
    pixels = torch.zeros(1, vision.num_channels, vision.image_size, vision.image_size)
    ids = torch.full((1, 4), model.config.text_config.eos_token_id)
    try:
        found = model.get_text_features(input_ids=ids), model.get_image_features(pixel_values=pixels)
        sound = all(isinstance(side.pooler_output, torch.Tensor) for side in found)
    except (AttributeError, TypeError):
        sound = False
    if not sound:
        raise UserError(f"{folder}: a side of it gives no vector: expected two encoders that pool, as BERT and ViT do")


def without(model: PreTrainedModel, parts: tuple[str, ...]) -> PreTrainedModel:
    """Drop the modules of these names that the model has."""
    for name in parts:
        if hasattr(model, name):
            delattr(model, name)
    return model
