"""The study's settings: the file in the repository, and faults with their messages."""

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from clseave.foundation.errors import UserError
from clseave.single_stream.settings import read

PATH = Path(__file__).resolve().parents[3] / "studies/single_stream/params.yaml"


def changed(tmp_path, change):
    content = YAML(typ="safe").load(PATH)
    change(content)
    YAML().dump(content, tmp_path / "params.yaml")
    return tmp_path / "params.yaml"


def test_the_settings_of_the_repository():
    study = read(PATH)
    assert study.variant("full").chosen == ["mlm", "mrc", "tlm", "cltr", "cmtr"]
    assert study.variant("english").chosen == ["mlm", "mrc"]
    with pytest.raises(UserError, match="--variant: found 'none', allowed: full, english"):
        study.variant("none")


def test_variants_differ_by_one_task_from_the_whole():
    study = read(PATH)
    whole = set(study.variant("full").chosen)
    assert {name: whole - set(study.variant(name).chosen) for name in ("no_tlm", "no_cltr", "no_cmtr")} == {
        "no_tlm": {"tlm"}, "no_cltr": {"cltr"}, "no_cmtr": {"cmtr"}
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda it: it.update(languages=["de", "en"]), "languages: found de, en, allowed: en first"),
        (lambda it: it["variants"][0].update(tasks="mlm+mrr"), r"variants.0.tasks: found 'mrr', allowed: mlm, mrc"),
        (lambda it: it["variants"][1].update(tasks="mlm+tlm"), "allowed with languages english: mlm, mrc, cmtr"),
        (lambda it: it["variants"][0].update(tasks="mrc"), "allowed: mlm and others"),
        (lambda it: it["variants"][1].update(name="full"), "found 'full' twice"),
        (lambda it: it["pretraining"]["weights"].pop("cmtr"), "pretraining.weights: no 'cmtr', which variant full"),
        (lambda it: it["retrieval"].update(margins=1), "retrieval.margins: unknown key"),
    ],
)
def test_faults_are_named(tmp_path, change, message):
    with pytest.raises(UserError, match=message):
        read(changed(tmp_path, change))
