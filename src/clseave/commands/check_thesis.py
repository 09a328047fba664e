"""List what a run of `thesis`, or of another profile of photos, lacks on this machine.

Reads:  params.yaml and the profile, the source folder, downloads, models, stored translations, .dvc/config.
Writes: lists of rows and photos of own data that cannot be used; tests whether hosts respond, but downloads and
        translates nothing.
Thesis: none.
Cost:   seconds, also without network; own photos are all opened, some hundred a second. Exit code 1 when something is
        missing, else 0.
"""

import os
import shutil
import sys
from contextlib import suppress
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from deep_translator.constants import BASE_URLS

from clseave.corpora import own_rows, photos, xvnli
from clseave.foundation.errors import UserError
from clseave.foundation.files.formats import read_text, write_json
from clseave.foundation.files.hashing import of_file
from clseave.foundation.process import cli
from clseave.foundation.settings import params
from clseave.foundation.settings.params import Values
from clseave.foundation.settings.schema import (
    AlignWords,
    AnyBackbones,
    AnyTranslation,
    Baseline,
    Corpus,
    Device,
    Download,
    Evaluations,
    FileTranslation,
    HubBackbones,
    HubRows,
    Languages,
    NmtTranslation,
    NoTranslation,
    Photos,
    Seeds,
    SnliRows,
    SnliVeRows,
    TableRows,
    VeModels,
    View,
)
from clseave.preflight import model_checks, needs, own_data, prerequisites
from clseave.preflight.findings import Check, Finding, aligned, missing, run_checks
from clseave.translation import user_files
from clseave.word_alignment import segmentation

ANSWER_S = 4.0  # time limit for one host
DEADLINE_S = 6.0  # time limit for all checks that wait for a host or a disk
FLICKR30K = 31_783  # photos (thesis 2.1)
HYPOTHESES = 510_000  # distinct hypotheses of SNLI-VE, about
MEMORY_GB, GPU_GB = 16, 20  # required, in 2**30 bytes
# 1e9 bytes: 32-bit weights of CLIP, mBERT, CLIP's text tower; one language's text (benchmarks/results: 0.24).
CLIP_GB, MBERT_GB, TOWER_GB, LANGUAGE_GB = 0.60, 0.71, 0.25, 0.3
GOOGLE_PAGE = BASE_URLS["GOOGLE_TRANSLATE"]
VECTOR_GB = 2048e-9  # 512 numbers of 4 bytes
PLACES = {  # default paths, in a checkout
    "params": "params.yaml",
    "profile": "profiles/thesis.yaml",
    "source": "data/thesis/source",
    "downloads": ".downloads",
    "models": "models/thesis",
    "store": ".translations",
}


class Lists(View):
    """The lists in params.yaml."""

    languages: Languages
    seeds: Seeds
    ve_models: VeModels
    baselines: list[Baseline]


class Models(View):
    """The setting for CLIP and mBERT."""

    backbones: AnyBackbones


class Translations(View):
    """The setting for translation."""

    translate: AnyTranslation


class Words(View):
    """The setting for word alignment."""

    align_words: AlignWords


class Judged(View):
    """The setting for what is evaluated."""

    evaluations: Evaluations


class Machine(View):
    """The settings for the device and for broken photos."""

    device: Device
    skip_broken: bool


@dataclass(frozen=True)
class Places:
    """The arguments of this command: where to look."""

    params: Path
    profile: Path
    source: Path
    downloads: Path
    models: Path
    store: Path

    @cached_property
    def tables(self) -> own_rows.Tables | None:
        """The user's own rows, read once; None where the profile names none, or cannot be read, as `values` reports."""
        with suppress(UserError):
            if isinstance(rows := photo_source(self).rows, TableRows):
                return own_rows.read_tables(rows, self.source)
        return None

    @cached_property
    def english_only(self) -> bool:
        """Whether the profile names no translations; False where it cannot be read, as `values` reports."""
        with suppress(UserError):
            return isinstance(self.read(Translations).translate, NoTranslation)
        return False

    def read(self, view: type[Values]) -> Values:
        """Return some of the settings. UserError when one is invalid, with a reference to the check `values`."""
        try:
            return params.load(self.params, self.profile, view)
        except UserError as error:
            names = " or ".join(f"`{name}`" for name in view.model_fields)
            raise UserError(f"{names} cannot be read, see `values`") from error


def photo_source(places: Places) -> Photos:
    """Return the section `source`. UserError when it names no photos."""
    source = places.read(Corpus).source
    if not isinstance(source, Photos):
        raise UserError(f"{places.profile}: source.kind is {source.kind}, this command is for photos")
    return source


def check_values(places: Places) -> Finding:
    """Check all values of params.yaml and this profile, even when another profile is active."""
    try:
        with TemporaryDirectory() as folder:
            copy = Path(folder) / "params.yaml"
            write_json(copy, params.read_yaml(places.params) | {"profile": places.profile.stem})  # JSON is YAML
            try:
                prerequisites.require_languages(*params.check(copy, places.profile.parent))
            except UserError as error:
                raise UserError(str(error).replace(str(copy), str(places.params))) from error
    except UserError as error:
        return Finding("missing", str(error), "correct that line")
    return Finding("ok", f"{places.params} and {places.profile}")


def check_photos(places: Places) -> Finding:  # noqa: PLR0911 -- one return for each fault
    """Check that all photos named by the lists are there, or else as many as Flickr30k has."""
    source = photo_source(places)
    place = places.source / source.photos
    own = places.tables is not None
    link = f"{'' if places.source.is_dir() else f'mkdir -p {places.source} && '}ln -sfn /path/to/{place.name} {place}"
    try:
        path = photos.find(places.source, source.photos)
    except UserError as error:
        if (place.is_absolute() and not places.source.is_absolute()) or ".." in place.parts:
            return Finding("missing", str(error), f"name it by its place in {places.source}, such as photos")
        gone = f"a link to {os.readlink(place)}, which does not exist" if place.is_symlink() else "not there"
        where = "place your photos there, or a link to them:" if own else f"{photos.REQUEST}; when you have them:"
        return Finding("missing", f"{place} is {gone}; {where}", link)
    if needs.compressed(path):
        return Finding("ok", f"{path} (compressed: not counted)")
    try:
        collection = photos.open_collection(path)
    except UserError as error:
        return Finding("missing", str(error), f"or name another as `source.photos` in {places.profile}")
    found = set(collection.files)
    if not found:
        said = f"{path}: no .jpg, .jpeg or .png in it, nor in a folder of it"
        return Finding("missing", said, f"let {place} be the folder that holds the photos")
    listed = listed_photos(source, places)
    if own and listed:
        skip = places.read(Machine).skip_broken
        return own_data.judge_photos(collection, listed, places.profile, skip_broken=skip)
    if absent := sorted(listed - found):
        said = f"{path}: {len(absent):,} of {len(listed):,} photos are not there, {absent[0]} for one"
        return Finding("missing", said, "copy them there from the archive that the University of Illinois gives")
    if not listed and isinstance(source.rows, SnliRows) and len(found) < FLICKR30K:
        return Finding("missing", f"{path}: {len(found):,} photos, Flickr30k has {FLICKR30K:,}", "copy it again, whole")
    return Finding("ok", f"{path}: {len(found):,} photos")


def listed_photos(source: Photos, places: Places) -> set[str]:
    """Return the photo ids of the two lists, or of the user's rows, when they can be read; else an empty set."""
    if places.tables:
        return {pair.image_id for pairs in places.tables.pairs.values() for pair in pairs}
    lists = [source.rows.train_val, source.rows.test] if isinstance(source.rows, SnliRows) else []
    paths = [path for path in (find_local(download, places) for download in lists) if path]
    if not paths or len(paths) < len(lists):
        return set()
    return {line.removesuffix(".jpg") for path in paths for line in read_text(path).split()}


def find_local(download: Download, places: Places) -> Path | None:
    """Return a file placed by the user or downloaded, or an unpacked folder instead of a zip; None when missing."""
    placed = places.source / download.file
    if placed.suffix == ".zip" and (folder := placed.with_suffix("")).is_dir():
        return folder
    return next((path for path in (placed, places.downloads / placed.name) if path.is_file()), None)


def check_download(places: Places, part: str) -> Finding | None:
    """Check that a file of SNLI is there with the right checksum, or can be downloaded; other rows by `check_rows`."""
    rows = photo_source(places).rows
    if not isinstance(rows, SnliRows):
        return check_rows(rows, places) if part == "rows" else None
    download = {"rows": rows, "train_val": rows.train_val, "test": rows.test}[part]
    placed = places.source / download.file
    if path := find_local(download, places):
        if path.is_file() and download.sha256 and (found := of_file(path)) != download.sha256:
            key = "source.rows.sha256" if part == "rows" else f"source.rows.{part}.sha256"
            fix = f"replace the file, or say {found} as `{key}` in {places.profile}" if path == placed else f"rm {path}"
            return Finding("missing", f"{path}: sha256 is {found}, expected {download.sha256}", fix)
        return Finding("ok", str(path))
    fix = f"place the file by hand as {placed}"
    if download.url is None:
        return Finding("missing", f"{placed} is not there and has no url", fix)
    if reason := needs.no_answer(download.url, ANSWER_S):
        return Finding("missing", f"{placed} is not there, and {download.url}: {reason}", fix)
    return Finding("ok", f"to be fetched: {download.url} answers")


def check_gpu(places: Places) -> Finding:
    """Check the GPU, unless the profile does not use one."""
    device = places.read(Machine).device
    return needs.judge_gpu(needs.Gpu(None) if device == "cpu" else needs.find_gpu(), device, GPU_GB)


def check_rows(rows: SnliVeRows | TableRows | HubRows, places: Places) -> Finding:
    """Check rows from another source than SNLI: a file for each split, or a data set on the hub."""
    if isinstance(rows, TableRows):
        assert places.tables
        return own_data.judge_rows(places.tables, places.profile)
    if isinstance(rows, SnliVeRows):
        gone = [name for name in rows.files.values() if not (places.source / name).is_file()]
        if gone:
            return Finding("missing", f"not in {places.source}: {', '.join(gone)}", "place the files, or links, there")
        return Finding("ok", f"{places.source}: {', '.join(rows.files.values())}")
    if rows.id.startswith((".", "/")):
        found = (places.source / rows.id).is_dir()
        return Finding(
            "ok" if found else "missing", f"the folder {places.source / rows.id}", "" if found else "place it"
        )
    return model_checks.judge_hub_rows(rows, places.profile, ANSWER_S)


def check_backbone(places: Places, name: Literal["clip", "mbert"]) -> Finding | None:
    """Check that a pre-trained model of the profile is there, or can be fetched."""
    made = places.read(Models).backbones
    if not isinstance(made, HubBackbones) or (name == "mbert" and places.english_only):
        return None
    where = (f"backbones.{name}", places.models / name, places.profile, ANSWER_S)
    if name == "clip":
        return model_checks.judge_model(made.clip, *where, evaluations=places.read(Judged).evaluations)
    return model_checks.judge_model(made.mbert, *where, layer=places.read(Words).align_words.layer)


def check_translator(places: Places) -> Finding | None:
    """Check the model that translates, if the profile names one."""
    made = places.read(Translations).translate
    if not isinstance(made, NmtTranslation):
        return None
    return model_checks.judge_model(
        made.model, "translate.model", places.models / "model", places.profile, ANSWER_S, layer=None
    )


def check_translation(places: Places) -> Finding:
    """Check that the backend can work: its page responds, or its files are there. `check_translator` checks a model."""
    settings, languages = places.read(Translations).translate, places.read(Lists).languages
    if isinstance(settings, NoTranslation):
        return Finding("note", "none: English alone, whose teacher `dvc repro finetune_clip_ve` trains")
    if settings.corrections and not (path := places.source / settings.corrections).is_file():
        return Finding("missing", f"{path} (translate.corrections) is not there", "place it, or say null")
    if isinstance(settings, FileTranslation):
        return check_translation_files(places, settings, languages)
    said = f"{settings.backend}; stored so far: {stored(places, settings.backend, languages)}"
    if settings.backend == "google" and (reason := needs.unreachable(GOOGLE_PAGE, ANSWER_S)):
        fix = f"connect to the network; or say `backend: nmt` or `backend: files` under `translate` in {places.profile}"
        return Finding("missing", f"{said}; {GOOGLE_PAGE}: {reason}", fix)
    return Finding("ok", said)


def check_translation_files(places: Places, settings: FileTranslation, languages: list[str]) -> Finding:
    """Check that there is a file for each language, and for rows of the user's own, that it has all sentences."""
    folder = places.source / settings.folder
    wanted = [*languages, *([f"{languages[0]}-en"] if settings.back else [])]
    if gone := [name for name in wanted if not user_files.find(folder, name)]:
        fix = f"place {' or '.join(f'{gone[0]}{suffix}' for suffix in user_files.SUFFIXES)} there{back_hint(gone[0])}"
        return Finding("missing", f"{folder} has no file for {', '.join(gone)}", fix)
    if twice := [name for name in wanted if len(user_files.find(folder, name)) > 1]:
        return Finding("missing", f"{folder} has several files for {', '.join(twice)}", "keep one of each")
    if places.tables:
        return own_data.judge_translations(places.tables, settings, places.source, languages, places.profile)
    return Finding("ok", f"{folder}: {', '.join(languages)}")


def back_hint(name: str) -> str:
    """Return advice on how to do without back-translations, for a file of such."""
    return "; or set translate.back: false" if name.endswith("-en") else ""


def check_independent(places: Places) -> Finding | None:
    """Check that XVNLI, the test rows with translations made by people, can be read; it is optional."""
    name = photo_source(places).independent
    if name is None and places.tables:
        return None
    if name is None or not (folder := places.source / name).is_dir():
        return Finding("note", "no XVNLI: no evaluation on translations made by people")
    try:
        return Finding("ok", f"{folder}: {', '.join(xvnli.find(folder))}; {len(xvnli.photos(folder))} photos")
    except UserError as error:
        return Finding("missing", str(error), f"fix it, or say `independent: null` under `source` in {places.profile}")


def stored(places: Places, backend: str, languages: list[str]) -> str:
    """Return the number of cached answers by language; the first line of each file is its key."""
    counts: dict[str, int] = {}
    for code in languages:
        paths = [f"{backend}-*.{code}.jsonl", f"{backend}-*.{code}.shard-*.jsonl"]
        for path in (path for pattern in paths for path in places.store.glob(pattern)):
            with open(path, "rb") as lines:
                counts[code] = counts.get(code, 0) + max(0, sum(1 for _ in lines) - 1)
    return ", ".join(f"{code} {count:,}" for code, count in counts.items()) or "none"


def check_segmenters(places: Places) -> Finding | None:
    """Check that the word segmenters can be loaded, with their dictionaries."""
    if places.english_only:
        return None
    segmenters, languages = places.read(Words).align_words.segmenters, places.read(Lists).languages
    chosen = {code: segmenters.get(code, segmenters.get("default")) for code in languages}
    for code, name in chosen.items():
        try:
            segmentation.words("words", code, segmenters)
        except Exception as error:  # from packages and dictionaries; any of them means an incomplete installation
            return Finding("missing", f"{name} for {code}: {error}", "rm -f .venv/.stamp && make setup")
    return Finding("ok", ", ".join(f"{code} {name}" for code, name in chosen.items()))


def check_disk(places: Places) -> Finding:
    """Check the disk space for all outputs, doubled because DVC keeps a copy of each file in its cache."""
    lists = places.read(Lists)
    languages, seeds, kinds = lists.languages, lists.seeds, [entry.kind for entry in lists.baselines]
    mberts = 1 + len(languages) + kinds.count("mbert")  # CLTEAVE's too
    if places.english_only:
        languages, kinds, mberts = [], [], 0
    images, hypotheses = FLICKR30K, HYPOTHESES
    if places.tables:
        pairs = [pair for split in places.tables.pairs.values() for pair in split]
        images, hypotheses = len({pair.image_id for pair in pairs}), len({pair.hypothesis for pair in pairs})
    towers = len(set(lists.ve_models) - {"image_only"}) + kinds.count("clip_score")
    parts = {
        "backbones": 3 * (CLIP_GB + MBERT_GB * bool(mberts)),  # a third copy is in the hub's cache
        "CLIP-VE": 2 * TOWER_GB * towers * len(seeds),
        "students": 2 * MBERT_GB * mberts * len(seeds),
        "vectors": 2 * VECTOR_GB * (images + hypotheses * len(seeds)),
        "text": 2 * LANGUAGE_GB * (1 + len(languages)) * hypotheses / HYPOTHESES,
    }
    made = 2e-9 * sum(path.stat().st_size for path in places.models.rglob("*") if path.is_file())
    return needs.judge_disk(shutil.disk_usage(Path.cwd()).free / 1e9, made, parts, Path.cwd())


def plan(places: Places) -> list[Check]:
    """Return all checks, in the order of the pipeline."""
    own = places.tables is not None
    late = Finding("missing", f"no answer within {DEADLINE_S:.0f} s", "look at the connection, and run this again")
    uncounted = Finding("note", f"not counted within {DEADLINE_S:.0f} s")
    remote = partial(needs.judge_remote, Path.cwd(), places.profile.stem, ANSWER_S)
    return [
        Check("values", partial(check_values, places)),
        Check("photos", partial(check_photos, places), None if own else uncounted),
        Check("rows", partial(check_download, places, "rows"), None if own else late),
        Check("train list", partial(check_download, places, "train_val"), late),
        Check("test list", partial(check_download, places, "test"), late),
        Check("XVNLI", partial(check_independent, places)),
        Check("CLIP", partial(check_backbone, places, "clip"), late),
        Check("mBERT", partial(check_backbone, places, "mbert"), late),
        Check("translation", partial(check_translation, places), None if own else late),
        Check("its model", partial(check_translator, places), late),
        Check("segmenters", partial(check_segmenters, places)),
        Check("memory", lambda: needs.judge_memory(needs.memory_gb(), MEMORY_GB)),
        Check("disk", partial(check_disk, places)),
        Check("GPU", partial(check_gpu, places)),
        Check("DVC remote", remote, late),
    ]


def main(argv: list[str] | None = None) -> None:
    """Run all checks, print the list, and exit with 1 when something is missing."""
    args = cli.parse(argv, __doc__, [], defaults=PLACES)
    places = Places(**vars(args))
    found = run_checks(plan(places), DEADLINE_S)
    lacking = missing(found)
    closing = f"{lacking} of {len(found)} missing: fix them from the top, then run this again."
    if not lacking:
        stage = " finetune_clip_ve" if places.english_only else ""
        closing = f"Nothing is missing: `dvc exp run -S profile={args.profile.stem}{stage}` runs it."
    sys.stdout.write("\n".join([*aligned(found), "", closing, ""]))
    sys.stdout.flush()
    if lacking:
        sys.exit(1)
