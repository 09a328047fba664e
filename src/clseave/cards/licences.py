"""Licence and limits on a model's card, derived from the origin of its weights and data."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from clseave.foundation.rows.training_record import LOCAL, Origin, TrainingRecord

MIT, OTHER, UNKNOWN = "mit", "other", "unknown"  # identifiers of the hub
# As stated by their authors: CLIP's repository, and the card of multilingual BERT.
LICENCES = {"openai/clip-vit-base-patch16": MIT, "google-bert/bert-base-multilingual-cased": "apache-2.0"}

TOY = (
    "The model knows one toy world: grids of coloured shapes, and the sentences that one grammar says about them. On "
    "any other image or text its answers mean nothing."
)
PHOTOS = (
    "Corpus and translations come from others: their errors and their views of people are in the model. What the "
    "authors of the captions did not see in a photo is not in the labels. Not for decisions about people."
)
FETCHED = "A public model as its authors published it, fetched and saved again: what their card says holds."
NOT_KNOWN = "Not known, because the origin of a model that it was made from is not known."
OWN = "MIT, as the repository: trained from scratch on generated data; no third party's weights or data are in it."
OTHERS = (
    "No licence is granted for these weights. They derive from {bases}, and from {data}. Whoever wants to publish them "
    "has to settle the terms of each."
)
PHOTO_DATA = (
    "its corpus: for SNLI-VE that is SNLI (CC BY-SA 4.0), photos of Flickr30k (for research and education only, not to "
    "be passed on) and, for other languages than English, translations under the terms of what translated them"
)


@dataclass(frozen=True)
class Standing:
    """The licence and limits of a model, derived from the origin of its weights and data."""

    licence: str  # an identifier of the hub
    terms: str
    limits: str
    generated: bool  # whether its corpus is generated
    base_models: Sequence[str] = ()  # ids of the hub


def of_model(record: TrainingRecord, records: Mapping[str, TrainingRecord]) -> Standing:
    """Return the standing of a model by its record and the records of its bases, found in `records` by name."""
    if record.origin is not None:
        return of_backbone(record.origin)
    others = {name: base for name, base in records.items() if base is not record}  # ends circular references
    return derived([of_model(others[name], others) if name in others else None for name in record.bases])


def of_backbone(origin: Origin) -> Standing:
    """Return the standing of a backbone trained here, fetched from the hub, or copied from a folder."""
    generated = origin.corpus == "scenes"
    if origin.id is None:
        return Standing(MIT, OWN, TOY, generated)
    licence = LICENCES.get(origin.id, UNKNOWN)
    terms = "Not known here: see where it comes from." if licence == UNKNOWN else f"{licence}, by its authors' word."
    return Standing(licence, terms, FETCHED, generated, [] if origin.id == LOCAL else [origin.id])


def derived(bases: Sequence[Standing | None]) -> Standing:
    """Return the standing of a model made from models with these standings; None is a model without a record."""
    known = [base for base in bases if base is not None and base.licence != UNKNOWN]
    if len(known) < len(bases) or not bases:
        return Standing(UNKNOWN, NOT_KNOWN, NOT_KNOWN, generated=False)
    generated = all(base.generated for base in known)
    ids = sorted({name for base in known for name in base.base_models})
    if generated and not ids:
        return Standing(MIT, OWN, TOY, generated)
    terms = OTHERS.format(bases=" and ".join(ids), data="generated data" if generated else PHOTO_DATA)
    return Standing(OTHER, terms, TOY if generated else PHOTOS, generated, ids)
