"""Images: written to one archive, decoded from the usual formats, preprocessed as CLIP's own processor does."""

import io
import logging
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import ExifTags, Image, UnidentifiedImageError
from transformers import AutoImageProcessor, BaseImageProcessor, CLIPImageProcessorPil

from clseave.corpora.photos import NAMED, Collection, Loader, Photo
from clseave.corpora.prefetch import map_ahead
from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import FETCH, POINTER, atomic, require_no_pointer, write_text
from clseave.foundation.files.hashing import of_bytes

Image.init()  # registers the formats that Pillow loads lazily
FORMATS = ("JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF")  # some other formats run programs or read other files
LARGEST = 89_478_485  # pixels; above this Pillow warns of a decompression bomb


TURNS = {  # the operation that makes an image upright, by EXIF orientation; 1 needs none
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
Pixels = torch.Tensor | str  # (3, H, W) float32, or the reason why the image is broken

log = logging.getLogger(__name__)


class BrokenImageError(Exception):
    """Bytes that are not a usable image; the message is the reason, in a few words."""


def decode(content: bytes) -> Image.Image:
    """Decode a photo to upright RGB, (H, W, 3) uint8; of several frames, the first. BrokenImageError gives the reason.

    16-bit grey is scaled, not clipped; transparency is dropped, as in CLIP's processor. A truncated photo is refused,
    not filled with grey.
    """
    if not content:
        raise BrokenImageError("the file is empty")
    if content.startswith(POINTER):
        raise BrokenImageError(FETCH)
    try:
        with Image.open(io.BytesIO(content), formats=FORMATS) as image:
            if image.width * image.height > LARGEST:
                raise BrokenImageError(f"{image.width} x {image.height} pixels, more than {LARGEST:,}")
            image.load()
            decoded = _to_rgb(_upright(image))
        decoded.info.clear()  # its orientation would turn an upright image once more
        return decoded
    except (BrokenImageError, MemoryError):  # out of memory: not the image's fault
        raise
    except UnidentifiedImageError as error:
        raise BrokenImageError(f"not an image of a known kind; starts with {content[:12]!r}") from error
    except Exception as error:  # on damaged bytes the decoders raise almost anything
        raise BrokenImageError(f"{type(error).__name__}: {' '.join(str(error).split())}") from error


def _upright(image: Image.Image) -> Image.Image:
    """Return the image rotated by its EXIF orientation; unchanged when the EXIF data cannot be read.

    `ImageOps.exif_transpose` does the same, but also rewrites the EXIF data and fails on damaged ones.
    """
    try:
        orientation = image.getexif().get(ExifTags.Base.Orientation)
    except Exception:  # the pixels are sound, and image viewers ignore an unreadable orientation too
        return image
    turn = TURNS.get(orientation) if isinstance(orientation, int) else None
    return image if turn is None else image.transpose(turn)


def _to_rgb(image: Image.Image) -> Image.Image:
    """Convert an image of any Pillow mode to RGB. BrokenImageError for grey beyond 16 bits, whose range is unknown."""
    if image.mode == "F" or image.mode.startswith("I"):
        grey = np.asarray(image)
        if image.mode == "F" or grey.min() < 0 or grey.max() > 65535:
            raise BrokenImageError(f"pixels of mode {image.mode}, whose range is unknown")
        scaled = (grey.astype(np.uint32) * 255 + 32767) // 65535  # `convert` would clip at 255
        image = Image.fromarray(scaled.astype(np.uint8))
    if image.mode == "P" and "transparency" in image.info:
        image = image.convert("RGBA")
    return image.convert("RGB")


def write_archive(path: Path | str, images: Iterable[tuple[str, np.ndarray]]) -> None:
    """Write (id, (H, W, 3) uint8) as PNG files of one zip whose bytes depend on the pixels alone."""
    with atomic(path) as temporary, zipfile.ZipFile(temporary, "w") as archive:
        for image_id, pixels in images:
            buffer = io.BytesIO()
            Image.fromarray(pixels).save(buffer, format="PNG")
            archive.writestr(zipfile.ZipInfo(f"{image_id}.png"), buffer.getvalue())  # ZipInfo has a fixed date


def processor(size: int) -> CLIPImageProcessorPil:
    """Return CLIP's preprocessing for square images of `size` pixels, always with the PIL backend."""
    return CLIPImageProcessorPil(size={"shortest_edge": size}, crop_size={"height": size, "width": size})


def preprocess(processor: BaseImageProcessor, image: Image.Image) -> torch.Tensor:
    """Preprocess one RGB image with the teacher's own processor, (3, H, W) float32."""
    return processor(image, return_tensors="pt").pixel_values[0]


def read_pixels(
    collection: Collection, wanted: Sequence[Photo], processor: BaseImageProcessor, depth: int
) -> Iterator[Pixels]:
    """Yield the preprocessed photos in the order of `wanted`, or the reason for a broken one.

    Threads work up to `depth` photos ahead. UserError when a photo has changed since it was listed.
    """
    known = {photo.image_id: photo for photo in wanted}

    def prepared(loader: tuple[str, Loader]) -> Pixels:
        photo, content = known[loader[0]], loader[1]()
        if of_bytes(content) != photo.sha256:
            raise UserError(f"{photo.file} changed since prepare: run `dvc repro -f -s prepare`, then `dvc repro`")
        try:
            return preprocess(processor, decode(content))
        except BrokenImageError as error:
            log.warning("%s: %s", photo.file, error)
            return str(error)

    return map_ahead(prepared, collection.loaders(known), depth)


def require_sound(broken: Mapping[str, str], files: Mapping[str, str], listing: Path) -> None:
    """Raise UserError when images are broken: how many, the first ten with reasons, and the file that lists all."""
    if broken:
        lines = [f"{files[image_id]}: {reason}" for image_id, reason in broken.items()]
        write_text(listing, "\n".join(lines) + "\n")
        raise UserError(
            f"{len(lines)} of {len(files)} images are broken: {'; '.join(lines[:NAMED])}; all of them in {listing}. "
            "Everything else is kept. Fix the files, run `dvc repro -f -s prepare`, then `dvc repro`; "
            "or set skip_broken: true"
        )


def load_processor(folder: Path | str) -> BaseImageProcessor:
    """Return the preprocessing saved with a teacher. UserError when it is missing or cannot preprocess a photo."""
    path = Path(folder) / "preprocessor_config.json"
    if not path.exists() and not path.with_name("processor_config.json").exists():
        raise UserError(
            f"{path} does not exist, which describes how this model preprocesses photos: copy it from the source of "
            "the model"
        )
    require_no_pointer(path)
    try:
        settings, _ = CLIPImageProcessorPil.get_image_processor_dict(folder, local_files_only=True)
        kind = settings.get("image_processor_type") or settings.get("feature_extractor_type") or "CLIP"
        if kind.startswith("CLIP"):
            made = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
        else:
            made = AutoImageProcessor.from_pretrained(folder, local_files_only=True, backend="pil")
        preprocess(made, Image.new("RGB", (3, 2)))
    except Exception as error:  # on invalid settings the library raises almost anything
        raise UserError(f"{path} cannot prepare a photo: {' '.join(str(error).split())}: copy it again") from error
    return made


def prepare(images: np.ndarray, size: int) -> torch.Tensor:
    """Preprocess square images that need no resizing, (N, size, size, 3) uint8 -> (N, 3, size, size) float32.

    Much faster than `processor(size)`, and equal to it up to rounding. ValueError when the images have another size.
    """
    if images.shape[1:] != (size, size, 3):
        raise ValueError(f"expected images of {size} x {size} x 3, got {' x '.join(map(str, images.shape[1:]))}")
    settings = processor(size)
    mean, spread = (np.array(value, dtype=np.float32) for value in (settings.image_mean, settings.image_std))
    scaled = (images * np.float32(settings.rescale_factor) - mean) / spread
    return torch.from_numpy(np.ascontiguousarray(scaled.transpose(0, 3, 1, 2)))
