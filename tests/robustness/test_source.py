"""What the code must never do with what it reads: checked in its source, so that no new reader can forget it."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*(ROOT / "src").rglob("*.py"), *(ROOT / "tools").rglob("*.py")])
FORBIDDEN = {
    "eval", "exec", "compile", "__import__",
    "pickle.load", "pickle.loads", "marshal.loads", "shelve.open", "joblib.load", "dill.load", "dill.loads",
    "yaml.load", "yaml.unsafe_load", "os.system", "os.popen",
    "shutil.unpack_archive", "pd.read_pickle", "np.lib.format.read_array",
}  # fmt: skip
# Methods that would write an archive's members wherever they say, and loaders of a data set's or a model's own code.
METHODS = {"extractall", "extract"}
PRETRAINED = {"AutoTokenizer", "AutoModelForSeq2SeqLM", "AutoModel", "AutoConfig", "AutoProcessor"}


def calls(path):
    return [node for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))) if isinstance(node, ast.Call)]


def keywords(call):
    return {keyword.arg: ast.unparse(keyword.value) for keyword in call.keywords}


def faults(path):
    """What a file does that it must not, with the line."""
    for call in calls(path):
        name = ast.unparse(call.func)
        given = keywords(call)
        if name in FORBIDDEN or ("." in name and name.rpartition(".")[2] in METHODS):
            yield call.lineno, name
        if name == "torch.load" and given.get("weights_only") != "True":
            yield call.lineno, "torch.load without weights_only=True"
        if name == "np.load" and given.get("allow_pickle", "False") != "False":
            yield call.lineno, "np.load with pickles"
        if given.get("trust_remote_code", "False") != "False":
            yield call.lineno, "trust_remote_code"
        if name.endswith(".from_pretrained") and name.split(".")[0] in PRETRAINED and "trust_remote_code" not in given:
            yield call.lineno, f"{name} may ask whether to trust code: say trust_remote_code=False"
        if name.endswith("YAML") and given.get("typ") == "'unsafe'":
            yield call.lineno, "unsafe YAML"
        if given.get("shell") == "True":
            yield call.lineno, "a shell"


def test_nothing_runs_what_it_reads_or_unpacks_where_the_archive_says():
    found = [f"{path.relative_to(ROOT)}:{line}: {what}" for path in SOURCES for line, what in faults(path)]
    assert found == []


@pytest.mark.parametrize(
    "line",
    [
        "pickle.load(stream)",
        "torch.load(path)",
        "torch.load(path, weights_only=False)",
        "tarfile.open(path).extractall()",
        "AutoTokenizer.from_pretrained(folder)",
        "load_dataset(name, trust_remote_code=True)",
        "eval(text)",
        "subprocess.run(command, shell=True)",
        "np.load(path, allow_pickle=True)",
    ],
)
def test_the_check_sees_each_of_them(tmp_path, line):
    (tmp_path / "a.py").write_text(line)
    assert len(list(faults(tmp_path / "a.py"))) == 1
