"""The thesis author's training procedure, reimplemented from the published scripts, as the baseline of `make bench`.

Models, losses, optimiser and schedule are the same as ours. The difference is work that is repeated in every step.
CLIP-VE decodes, preprocesses and encodes the photo of each row when a batch is collated, and pads each text to CLIP's
77 tokens. CLSEAVE tokenises both sentences each time a row is read, runs the teacher in every step, mixes short and
long sentences, and updates every row of the word embeddings. Everything runs in single precision.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

import torch
from PIL import Image
from torch import nn
from torch.nn import functional
from torch.utils.data import DataLoader, Dataset
from transformers import CLIPImageProcessorPil, CLIPVisionModelWithProjection

from clseave.foundation.rows.labels import label_id
from clseave.foundation.rows.records import Example
from clseave.models.head import Head
from clseave.models.student import Student
from clseave.models.towers import TextTower
from clseave.training.optimiser import Schedule, schedule_factor

Batch = dict[str, torch.Tensor]


class AsPublished(Protocol):
    """A training procedure: its rows, how they are batched, and the loss of a batch."""

    parameters: list[nn.Parameter]

    def __len__(self) -> int: ...

    def __getitem__(self, row: int) -> Any: ...

    def collate(self, items: Sequence[Any]) -> Batch:
        """Return rows as a batch."""
        ...

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the loss of a batch."""
        ...


class ClipVE(Dataset[Example]):
    """CLIP-VE: text tower and head are trained; the frozen image tower runs whenever a batch is collated."""

    def __init__(
        self,
        tower: TextTower,
        vision: CLIPVisionModelWithProjection,
        head: Head,
        processor: CLIPImageProcessorPil,
        *,
        examples: Sequence[Example],
        photos: Mapping[str, Path],
    ):
        """Set up the data set; `photos` gives the file of each image id. All models are on one device."""
        self.tower, self.vision, self.head = tower, vision.requires_grad_(False), head
        self.processor, self.examples, self.photos = processor, examples, photos
        self.longest = tower.model.config.max_position_embeddings  # CLIP: 77
        self.parameters = [*tower.model.parameters(), *head.parameters()]

    def __len__(self) -> int:
        return len(self.examples)

    def __getitem__(self, row: int) -> Example:
        return self.examples[row]

    def collate(self, items: Sequence[Example]) -> Batch:
        """Return token ids (B, 77) with their mask, image vectors (B, D), and labels (B,)."""
        device = self.tower.model.device
        pictures = []
        for item in items:
            with Image.open(self.photos[item.image_id]) as picture:
                pictures.append(picture.convert("RGB"))
        pixels = self.processor(pictures, return_tensors="pt").pixel_values
        with torch.no_grad():
            premise = self.vision(pixel_values=pixels.to(device)).image_embeds
        texts = self.tower.tokenizer(
            [item.hypothesis for item in items], padding="max_length", max_length=self.longest, return_tensors="pt"
        )
        return {
            "ids": texts.input_ids.to(device),
            "mask": texts.attention_mask.to(device),
            "premise": premise,
            "labels": torch.tensor([label_id(item.label) for item in items], device=device),
        }

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the cross-entropy of the head on both vectors, their absolute difference and their product."""
        text = self.tower.model(input_ids=batch["ids"], attention_mask=batch["mask"]).text_embeds  # (B, D)
        h = self.head.input_dropout(text / text.norm(dim=-1, keepdim=True))
        p = self.head.input_dropout(batch["premise"] / batch["premise"].norm(dim=-1, keepdim=True))
        logits = self.head.layers(torch.cat([h, p, torch.abs(h - p), h * p], dim=1))  # (B, 3)
        return functional.cross_entropy(logits, batch["labels"])


class Clseave(Dataset[tuple[list[int], list[int]]]):
    """CLSEAVE: mBERT learns the teacher's vectors, which the teacher computes again in every step."""

    def __init__(self, teacher: TextTower, student: Student, pairs: Sequence[tuple[str, str]]):
        """Set up the data set; `pairs` are English sentences and their translations. Both models are on one device."""
        self.teacher, self.student, self.pairs = teacher.eval().requires_grad_(False), student, pairs
        self.parameters = list(student.parameters())

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, row: int) -> tuple[list[int], list[int]]:
        english, translation = self.pairs[row]
        return self.teacher.tokenizer(english).input_ids, self.student.tokenizer(translation).input_ids

    def collate(self, items: Sequence[tuple[list[int], list[int]]]) -> Batch:
        """Return ids and masks of both sides, (B, T), padded to the longest row of the batch."""
        batch = {}
        for side, tokenizer in ((0, self.teacher.tokenizer), (1, self.student.tokenizer)):
            rows = [torch.tensor(item[side]) for item in items]
            ids = nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=tokenizer.pad_token_id)
            lengths = torch.tensor([len(row) for row in rows])
            device = self.teacher.model.device
            batch[f"ids{side}"] = ids.to(device)
            batch[f"mask{side}"] = (torch.arange(ids.shape[1]) < lengths[:, None]).long().to(device)
        return batch

    def loss(self, batch: Batch) -> torch.Tensor:
        """Return the mean squared error between the vectors of student and teacher."""
        with torch.no_grad():
            wanted = self.teacher.model(input_ids=batch["ids0"], attention_mask=batch["mask0"]).text_embeds
        states = self.student.encoder(input_ids=batch["ids1"], attention_mask=batch["mask1"]).last_hidden_state
        ends = (batch["ids1"] == self.student.tokenizer.sep_token_id).int().argmax(dim=1)  # the first [SEP]
        states = self.student.norm(states)[torch.arange(len(ends), device=ends.device), ends]  # (B, T, W) -> (B, W)
        return functional.mse_loss(self.student.projection(states), wanted)


def train(
    method: AsPublished,
    batches: Sequence[Sequence[int]],
    optimiser: torch.optim.Optimizer,
    schedule: Schedule = "constant",
    warmup: float = 0.0,
) -> Iterator[float]:
    """Train one step per batch of row numbers and yield each loss. No worker processes prefetch batches."""
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: schedule_factor(step, len(batches), warmup, schedule)
    )
    for batch in DataLoader(method, batch_sampler=batches, collate_fn=method.collate):  # type: ignore[arg-type]
        optimiser.zero_grad()
        loss = method.loss(batch)
        loss.backward()
        optimiser.step()
        scheduler.step()
        yield loss.item()
