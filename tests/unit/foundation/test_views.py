"""What stages read of the settings has one type everywhere, and what a checkpoint depends on is complete."""

import ast
import importlib
import pkgutil
from pathlib import Path

import pytest

import clseave
from clseave.foundation.settings import params, schema
from clseave.foundation.settings.schema import Params, Profile, View
from settings import SETTINGS

OWNERS = Params.model_fields | Profile.model_fields
SOURCE = Path(clseave.__file__).parent


def views(start=View):
    """All views of the package."""
    return {view for one in start.__subclasses__() for view in (one, *views(one)) if view.__module__ in MODULES}


NEED_GRADIO = {"clseave.demonstration.page", "clseave.demonstration.server"}  # which is not in the environment
MODULES = [
    module.name for module in pkgutil.walk_packages(clseave.__path__, "clseave.") if module.name not in NEED_GRADIO
]


def differences(view):
    """Fields that their owner has not, or not so."""
    return {
        name: (repr(field), repr(OWNERS.get(name)))
        for name, field in view.model_fields.items()
        if repr(field) != repr(OWNERS.get(name))
    }


def test_the_fields_of_every_view_are_those_of_their_owner():
    for name in MODULES:
        importlib.import_module(name)
    found = views()
    assert len(found) > 10 and schema.Processor in found
    assert {view: differences(view) for view in found if differences(view)} == {}


def test_a_field_of_another_type_and_one_without_an_owner_are_found():
    class Wrong(View):
        encode_batch: int  # without its bound
        colour: str
        kernels: schema.Kernels

    assert set(differences(Wrong)) == {"encode_batch", "colour"}


def test_a_stage_gets_its_view():
    values = params.load(SETTINGS / "params.yaml", SETTINGS / "profiles/mini.yaml", schema.SentenceTransfer)
    assert type(values) is schema.SentenceTransfer and type(values.clseave) is schema.Clseave
    assert values.device == "cpu" and not hasattr(values, "source")
    with pytest.raises(ValueError, match="frozen"):
        values.lr = 1.0


def calls(code, *names):
    return [node for node in ast.walk(code) if isinstance(node, ast.Call) and ast.unparse(node.func) in names]


def test_every_name_and_number_of_a_stage_is_part_of_its_checkpoints_key():
    """What is chosen on the command line chooses what is computed: a checkpoint of another choice is never taken."""
    seen = 0
    for path in sorted((SOURCE / "stages").glob("*.py")):
        code = ast.parse(path.read_text(encoding="utf-8"))
        for key in calls(code, "begin", "key_of"):
            (parse,) = calls(code, "cli.parse")
            lists = [one.value for one in parse.keywords if one.arg in ("names", "numbers")]
            wanted = {name for one in lists for name in ast.literal_eval(one)}
            assert wanted == {one.arg for one in key.keywords}, path.name
            seen += 1
    assert seen >= 8


def test_no_function_takes_arguments_or_values_without_types():
    """Only a stage's main knows the command line's Namespace; a function says what it takes."""
    faults = []
    for path in sorted(set(SOURCE.rglob("*.py")) - {SOURCE / "cards.py"}):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            for one in node.args.args + node.args.kwonlyargs if isinstance(node, ast.FunctionDef) else ():
                if one.annotation and "Namespace" in ast.unparse(one.annotation):
                    faults.append(f"{path.name}: {node.name}({one.arg})")
    assert faults == []
