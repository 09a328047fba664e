"""Encode every image once with CLIP's frozen image tower.

Reads:  the miniature's archive, or the list of photos and the photos themselves; CLIP.
Writes: one vector per image, (N, D), not normalised, with ids; skipped.json when broken photos are left out.
Thesis: 3.1.2 (the image tower stays frozen, so its vectors never change).
Cost:   seconds on the miniature; minutes on a GPU for 31,783 photos, hours without. A killed run is taken up again.
"""

import hashlib
import json
from pathlib import Path

import numpy as np
import PIL
import torch
import transformers
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from tqdm import tqdm
from transformers import CLIPVisionModelWithProjection

from clseave import cli, images, numerics, params, photos, text
from clseave.batches import in_order
from clseave.checkpoints import load_model
from clseave.downloads import sha256_of
from clseave.errors import UserError
from clseave.images import Pixels, load_processor, read_pixels, require_sound
from clseave.records import Example, distinct_hypotheses, read_rows, read_splits, write_skipped, write_vectors
from clseave.storage import atomic

KEYS = ("encode_batch", "device", "kernels", "skip_broken")


def list_photos(images: Path, source: Path, ids: list[str]) -> tuple[photos.Collection, list[photos.Photo]]:
    """The miniature's archive, or what `prepare` listed of the user's photos, in the order in which they are read."""
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


def kind(device: torch.device) -> str:
    """The processor that computes: numbers of two kinds of GPU are not mixed."""
    return torch.cuda.get_device_name(device) if device.type == "cuda" else device.type


def name_parts(batches: list[list[photos.Photo]], clip: Path, device: torch.device, checkpoints: Path) -> list[Path]:
    """A file for each batch, named by everything its vectors depend on."""
    model = [[path.name, sha256_of(path)] for path in sorted(clip.iterdir()) if path.is_file()]
    versions = [PIL.__version__, torch.__version__, transformers.__version__, kind(device), numerics.kernels_used()]
    versions += [sha256_of(Path(code)) for code in (__file__, images.__file__)]
    keys = (json.dumps([model, versions, [[photo.image_id, photo.sha256] for photo in batch]]) for batch in batches)
    return [checkpoints / f"{hashlib.sha256(key.encode()).hexdigest()}.safetensors" for key in keys]


@torch.no_grad()
def encode(tower: CLIPVisionModelWithProjection, ids: list[str], pixels: list[Pixels], part: Path) -> None:
    """Write the vectors of a batch, (B, D), and why others have none."""
    sound = [one for one in pixels if isinstance(one, torch.Tensor)]
    vectors = np.zeros((0, tower.config.projection_dim), dtype=np.float32)
    if sound:
        vectors = tower(pixel_values=torch.stack(sound).to(tower.device)).image_embeds.cpu().numpy()
    broken = {key: one for key, one in zip(ids, pixels, strict=True) if isinstance(one, str)}
    with atomic(part) as temporary:
        save_file({"vectors": vectors}, temporary, {"broken": json.dumps(broken)})


def read_part(part: Path) -> tuple[np.ndarray, dict[str, str]]:
    """What `encode` wrote."""
    with safe_open(part, "numpy") as content:
        return content.get_tensor("vectors"), json.loads(content.metadata()["broken"])


def is_whole(part: Path) -> bool:
    """Whether an earlier run left this part, and it can be read."""
    try:
        return part.exists() and bool(read_part(part))
    except (SafetensorError, OSError, ValueError, KeyError, TypeError):
        return False


def main(argv: list[str] | None = None) -> None:
    """Encode the images that the examples name; vectors come in the order of their first appearance."""
    args = cli.parse(argv, __doc__, "params profile examples independent images source checkpoints clip out".split())
    settings = params.load(args.params, args.profile, KEYS)
    device = numerics.start_torch(0, settings.device, settings.kernels)
    examples = [*read_splits(args.examples), *read_rows(args.independent / "examples.jsonl", Example)]
    ids = list(dict.fromkeys(row.image_id for row in examples))
    text.encode(text.load_tokenizer(args.clip), list(distinct_hypotheses(examples).values()))  # one too long stops here
    collection, rows = list_photos(args.images, args.source, ids)
    batches = [[rows[row] for row in batch] for batch in in_order(len(rows), settings.encode_batch)]
    parts = name_parts(batches, args.clip, device, args.checkpoints)
    todo = [(batch, part) for batch, part in zip(batches, parts, strict=True) if not is_whole(part)]
    if todo:
        tower = load_model(CLIPVisionModelWithProjection, args.clip).to(device)
        wanted = [photo for batch, _ in todo for photo in batch]
        pixels = read_pixels(collection, wanted, load_processor(args.clip), settings.encode_batch)
        for batch, part in tqdm(todo, desc="images", unit="batch", disable=None):
            encode(tower, [photo.image_id for photo in batch], [next(pixels) for _ in batch], part)
    found: dict[str, np.ndarray] = {}
    broken: dict[str, str] = {}
    for batch, part in zip(batches, parts, strict=True):
        vectors, reasons = read_part(part)
        broken |= reasons
        found |= dict(zip((photo.image_id for photo in batch if photo.image_id not in reasons), vectors, strict=True))
    if not settings.skip_broken or not found:
        require_sound(broken, {photo.image_id: photo.file for photo in rows}, args.checkpoints / "broken_images.txt")
    kept = [key for key in ids if key in found]
    write_vectors(args.out, kept, np.stack([found[key] for key in kept]))
    write_skipped(args.out, broken)
    for leftover in [*args.checkpoints.glob("*.safetensors*"), args.checkpoints / "broken_images.txt"]:
        leftover.unlink(missing_ok=True)
