"""The multilingual autoencoder and the CLTEAVE student built on its encoder (thesis 3.2)."""

from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import nn
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import atomic, write_json
from clseave.foundation.settings.schema import Assembly
from clseave.models.loading import load_layers, load_text_encoder, make
from clseave.models.pooling import pool_at_end
from clseave.models.tokens import checked_end, load_tokenizer
from clseave.models.towers import AnyTextTower, DualTextTower


class Autoencoder(nn.Module):
    """Encoder wide -> narrow and decoder back, each a linear layer and a ReLU (thesis 3.2.2: 768 -> 512 -> 768).

    With the thesis's ReLUs encoder and decoder cannot output negative numbers, which token states contain.
    """

    def __init__(self, wide: int, narrow: int, relu: bool = True):
        """Take the widths of mBERT (`wide`) and of CLIP's text tower (`narrow`); `relu`: end the encoder in a ReLU."""
        super().__init__()
        self.wide, self.narrow = wide, narrow
        self.encoder = nn.Sequential(nn.Linear(wide, narrow), nn.ReLU() if relu else nn.Identity())
        self.decoder = nn.Sequential(nn.Linear(narrow, wide), nn.ReLU())

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        """Return the reconstruction, (N, wide) -> (N, wide)."""
        return self.decoder(self.encoder(states))

    def save(self, folder: Path | str) -> None:
        """Write the weights and settings."""
        with atomic(Path(folder) / "autoencoder.safetensors") as temporary:
            save_file(self.state_dict(), temporary)
        relu = isinstance(self.encoder[1], nn.ReLU)
        write_json(Path(folder) / "autoencoder.json", {"wide": self.wide, "narrow": self.narrow, "relu": relu})

    def without_relu(self) -> "Autoencoder":
        """Make the encoder linear, with the same weights."""
        self.encoder[1] = nn.Identity()
        return self

    @classmethod
    def load(cls, folder: Path | str) -> "Autoencoder":
        """Load a saved autoencoder."""
        model = make(cls, Path(folder) / "autoencoder.json")
        load_layers(model, Path(folder) / "autoencoder.safetensors")
        return model


class TokenStudent(nn.Module):
    """mBERT and the autoencoder, trained on token states; a sentence vector is assembled from the [SEP] state."""

    def __init__(self, encoder: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, autoencoder: Autoencoder):
        """Combine mBERT and the autoencoder. UserError when tokenizer and `encoder` differ."""
        super().__init__()
        self.encoder, self.tokenizer, self.autoencoder = encoder, tokenizer, autoencoder
        self.end = encoder.config.eos_token_id = checked_end(tokenizer, encoder.config)
        self.tower: AnyTextTower | None = None
        self.assembly: Assembly = "direct"

    @property
    def width(self) -> int:
        """Size of a sentence vector."""
        if self.tower and self.assembly != "direct":
            return self.tower.width
        return self.autoencoder.narrow

    def states(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return the last token states of mBERT, (B, T) -> (B, T, wide)."""
        return self.encoder(input_ids=ids, attention_mask=mask).last_hidden_state

    def assemble(self, assembly: Assembly, tower: AnyTextTower) -> "TokenStudent":
        """Choose how a sentence vector is made (thesis 4.1), with the final norm and projection of `tower`.

        UserError for a teacher other than CLIP, unless its token states can be taken for its sentence vectors.
        """
        if isinstance(tower, DualTextTower) and not (assembly == "direct" and tower.width == self.autoencoder.narrow):
            raise UserError(
                f"evaluations: assembly: found {assembly!r}, which this teacher does not allow: leave this evaluation "
                "of CLTEAVE out of params.yaml"
            )
        self.assembly, self.tower = assembly, tower
        return self

    def forward(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Return sentence vectors, (B, T) -> (B, D), by an assembly of the thesis or by "projected":

        direct: the encoder's output · padded: CLIP's final norm and projection, padded with zeros to mBERT's width,
        of mBERT's state · decoder: the same, of the autoencoder's reconstruction · projected (not in the thesis): the
        same without padding, of the encoder's output, which training compares with the teacher's states.
        """
        state = pool_at_end(self.states(ids, mask), ids, self.end)  # (B, wide)
        match self.assembly:
            case "direct":
                return self.autoencoder.encoder(state)
            case "padded":
                return _padded_projection(state, self.tower)
            case "decoder":
                return _padded_projection(self.autoencoder(state), self.tower)
            case "projected":
                return _padded_projection(self.autoencoder.encoder(state), self.tower)

    def save(self, folder: Path | str) -> None:
        """Write mBERT in Hugging Face layout, and the autoencoder."""
        self.encoder.save_pretrained(folder)
        self.tokenizer.save_pretrained(folder)
        self.autoencoder.save(folder)

    @classmethod
    def load(cls, folder: Path | str) -> "TokenStudent":
        """Load a saved student, in evaluation mode."""
        return cls(load_text_encoder(folder), load_tokenizer(folder), Autoencoder.load(folder)).eval()


def _padded_projection(state: torch.Tensor, tower: AnyTextTower | None) -> torch.Tensor:
    """Apply CLIP's final LayerNorm and projection, with zeros for the extra coordinates, (B, wide) -> (B, D)."""
    if tower is None:
        raise ValueError("this assembly needs CLIP-VE's text tower: call assemble() first")
    norm, projection = tower.model.text_model.final_layer_norm, tower.model.text_projection
    extra = (0, state.shape[-1] - norm.weight.shape[0])
    weight, bias = (nn.functional.pad(value, extra) for value in (norm.weight, norm.bias))
    normed = nn.functional.layer_norm(state, state.shape[-1:], weight, bias, norm.eps)
    return nn.functional.linear(normed, nn.functional.pad(projection.weight, extra))
