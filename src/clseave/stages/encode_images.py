"""Encode every image once with CLIP's frozen image tower.

Reads:  the miniature's archive, or the list of photos and the photos themselves; CLIP.
Writes: one vector per image, (N, D), not normalised, with ids; skipped.json when broken photos are left out.
Thesis: 3.1.2 (the image tower stays frozen, so its vectors never change).
Cost:   seconds on the miniature; minutes on a GPU for 31,783 photos, hours without. A killed run resumes;
        `--shard I/N` does the I-th of N shares of the batches only, which a run without it then uses.
"""

import logging
from pathlib import Path

import numpy as np
import torch

from clseave.corpora import photos
from clseave.corpora.image_parts import encode, is_whole, name_parts, read_part
from clseave.corpora.images import load_processor, read_pixels, require_sound
from clseave.foundation.errors import UserError
from clseave.foundation.process import cli, numerics, progress, shards
from clseave.foundation.process.shards import Shard
from clseave.foundation.rows.records import (
    Example,
    distinct_hypotheses,
    read_rows,
    read_splits,
    write_skipped,
    write_vectors,
)
from clseave.foundation.settings import params
from clseave.foundation.settings.schema import Encoding
from clseave.models import tokens, towers
from clseave.models.tokens import in_order
from clseave.models.towers import ImageTower

log = logging.getLogger(__name__)


class Values(Encoding):
    """The settings that the stage reads."""

    skip_broken: bool


def list_photos(images: Path, source: Path, ids: list[str]) -> tuple[photos.Collection, list[photos.Photo]]:
    """Return the images, from the miniature's archive or the user's folder, and their list in reading order.

    UserError names images that are missing.
    """
    archive = images / "archive.zip"
    rows = [] if archive.exists() else photos.read_photos(images / "photos.jsonl")
    collection = photos.open_collection(archive) if archive.exists() else photos.reopen(source, rows)
    known = {photo.image_id: photo for photo in rows}
    missing = [key for key in ids if key not in collection.files or (rows and key not in known)]
    if missing:
        raise UserError(
            f"{collection.path}: {len(missing)} images are missing, the first {', '.join(missing[: photos.NAMED])}: "
            "run `dvc repro -f -s prepare`, then `dvc repro`"
        )
    described = [known[key] for key in collection.order(ids)] if rows else photos.describe(collection, ids, None)
    return collection, described


def encode_missing(
    batches: list[list[photos.Photo]],
    parts: list[Path],
    collection: photos.Collection,
    clip: Path,
    device: torch.device,
) -> None:
    """Encode the batches whose part is missing."""
    todo = [(batch, part) for batch, part in zip(batches, parts, strict=True) if not is_whole(part)]
    log.info("%d of %d batches are there", len(batches) - len(todo), len(batches))
    if todo:
        tower = ImageTower.load(clip).to(device)
        wanted = [photo for batch, _ in todo for photo in batch]
        pixels = read_pixels(collection, wanted, load_processor(clip), max(map(len, batches)))
        with progress.bar(desc="image vectors", total=len(wanted), unit="images") as bar:
            for batch, part in todo:
                encode(tower, [photo.image_id for photo in batch], [next(pixels) for _ in batch], part)
                bar.update(len(batch))


def join(batches: list[list[photos.Photo]], parts: list[Path]) -> tuple[dict[str, np.ndarray], dict[str, str]]:
    """Return vectors by image id, and the reasons of broken images by image id."""
    by_id: dict[str, np.ndarray] = {}
    broken: dict[str, str] = {}
    for batch, part in zip(batches, parts, strict=True):
        vectors, reasons = read_part(part)
        broken |= reasons
        by_id |= dict(zip((photo.image_id for photo in batch if photo.image_id not in reasons), vectors, strict=True))
    return by_id, broken


def main(argv: list[str] | None = None) -> None:
    """Encode the images of the examples, in the order of their first appearance."""
    paths = "params profile examples independent images source checkpoints clip out".split()
    args = cli.parse(argv, __doc__, paths, shard=True)
    shard: Shard | None = args.shard
    settings = params.load(args.params, args.profile, Values)
    device = numerics.start_torch(0, settings.device, settings.kernels)
    examples = [*read_splits(args.examples), *read_rows(args.independent / "examples.jsonl", Example)]
    ids = list(dict.fromkeys(row.image_id for row in examples))
    tokens.encode(
        tokens.load_tokenizer(args.clip), list(distinct_hypotheses(examples).values())
    )  # a text that is too long stops the run here
    collection, rows = list_photos(args.images, args.source, ids)
    batches = [[rows[row] for row in batch] for batch in in_order(len(rows), settings.encode_batch)]
    parts = name_parts(batches, args.clip, device, args.checkpoints, code=Path(towers.__file__))
    with shards.lock_shards(shard, args.checkpoints):
        encode_missing(shards.share(batches, shard), shards.share(parts, shard), collection, args.clip, device)
        if shard:
            return
        vectors, broken = join(batches, parts)
        if not settings.skip_broken or not vectors:
            require_sound(
                broken, {photo.image_id: photo.file for photo in rows}, args.checkpoints / "broken_images.txt"
            )
        kept = [key for key in ids if key in vectors]
        write_vectors(args.out, kept, np.stack([vectors[key] for key in kept]))
        write_skipped(args.out, broken)
        for leftover in [*args.checkpoints.glob("*.safetensors*"), args.checkpoints / "broken_images.txt"]:
            leftover.unlink(missing_ok=True)
