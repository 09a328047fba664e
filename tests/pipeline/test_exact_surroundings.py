"""All stages on profile `tiny` as somebody else would start them: every output has the bytes of the usual run.

Differs: the checkout's path, locale, time zone, home, user name, umask, number of cores, thread counts and processor
paths already set, temporary folder, fonts and fontconfig, settings of matplotlib, Jupyter and IPython.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import pytest
from fontTools.ttLib import TTFont
from matplotlib import font_manager, get_data_path
from test_end_to_end import finished

from prove_exact import Machine, Stage, check_processes, copy_sources, hashes, read_stages, run, run_all, write_wrapper

__all__ = ["finished"]  # a fixture
LOCALE = "tr_TR.UTF-8"  # where the lower case of I has no dot, and the decimal sign is a comma
needs_locale = pytest.mark.needs_package("locales", "localedef", f"/usr/share/i18n/locales/{LOCALE.partition('.')[0]}")
RC = {
    "font.size": 25,
    "font.family": "serif",
    "savefig.dpi": 30,
    "svg.fonttype": "none",
    "axes.prop_cycle": "cycler('color', ['red'])",
}
HOSTILE = {
    "OMP_NUM_THREADS": "7",
    "MKL_NUM_THREADS": "3",
    "OPENBLAS_NUM_THREADS": "5",
    "MKL_CBWR": "AVX512",
    "MKL_DYNAMIC": "TRUE",
    "MKL_ENABLE_INSTRUCTIONS": "AVX512",
    "ONEDNN_MAX_CPU_ISA": "AVX512_CORE",
    "OPENBLAS_CORETYPE": "SkylakeX",
    "ATEN_CPU_CAPABILITY": "default",
    "NPY_DISABLE_CPU_FEATURES": "",
    "PYTHONHASHSEED": "123",
    "PYTHONUTF8": "0",
    "PYTHONCOERCECLOCALE": "0",
    "PYTHONIOENCODING": "iso8859-1",
    "PYTHONOPTIMIZE": "1",
    "TOKENIZERS_PARALLELISM": "true",
    "RAYON_NUM_THREADS": "9",
    "SOURCE_DATE_EPOCH": "1",
    "MPLBACKEND": "svg",
    "TZ": "Pacific/Kiritimati",
    "LANG": LOCALE,
    "LC_ALL": LOCALE,
    "LANGUAGE": "tr",
    "USER": "ayşe",
    "LOGNAME": "ayşe",
    "COLUMNS": "40",
    "LINES": "10",
    "NO_COLOR": "1",
}


def make_locale(folder: Path) -> None:
    """Compile the locale, which few machines have."""
    folder.mkdir()
    command = ["localedef", "--no-archive", "-i", LOCALE.partition(".")[0], "-f", "UTF-8", str(folder / LOCALE)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert (folder / LOCALE / "LC_NUMERIC").exists(), done.stderr


def make_font(path: Path) -> None:
    """Another font that calls itself DejaVu Sans, with wide letters: whoever takes it draws other pictures."""
    path.parent.mkdir(parents=True)
    font = TTFont(Path(get_data_path()) / "fonts/ttf/cmr10.ttf")
    for record in font["name"].names:
        if record.nameID in (1, 4, 16):
            record.string = "DejaVu Sans"
        elif record.nameID in (2, 17):
            record.string = "Regular"
    font.save(path)
    assert font_manager.ttfFontProperty(font_manager.get_font(path)).name == "DejaVu Sans"


def somebody(folder: Path) -> dict[str, str]:
    """The environment of somebody with a home full of settings."""
    home = folder / "ev"
    settings = {
        ".config/matplotlib/matplotlibrc": "".join(f"{key}: {value}\n" for key, value in RC.items()),
        ".ipython/profile_default/startup/first.py": "raise SystemExit('a start-up file of the user ran')\n",
        ".jupyter/jupyter_config.py": "raise SystemExit('a setting of the user was read')\n",
        ".config/fontconfig/fonts.conf": f"<fontconfig><dir>{home}/.local/share/fonts</dir></fontconfig>\n",
        "start.py": "raise SystemExit('a start-up file of the user ran')\n",
    }
    for name, text in settings.items():
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        (home / name).write_text(text)
    make_font(home / ".local/share/fonts/DejaVuSans.ttf")
    make_locale(folder / "locales")
    (folder / "geçici").mkdir()
    return HOSTILE | {
        "HOME": str(home),
        "XDG_CONFIG_HOME": str(home / ".config"),
        "XDG_DATA_HOME": str(home / ".local/share"),
        "XDG_CACHE_HOME": str(home / ".cache"),
        "FONTCONFIG_FILE": str(home / ".config/fontconfig/fonts.conf"),
        "JUPYTER_CONFIG_DIR": str(home / ".jupyter"),
        "PYTHONSTARTUP": str(home / "start.py"),
        "LOCPATH": str(folder / "locales"),
        "TMPDIR": str(folder / "geçici"),
    }


def hostile(folder: Path) -> Machine:
    """Somebody else's machine: all of the above, in a folder with blanks and letters of three alphabets."""
    home = folder / "Şule's iş, ölçüm 実験"
    home.mkdir()
    return Machine("hostile", home, prefix=("taskset", "--cpu-list", "0"), settings=somebody(home), umask=0o077)


def outputs(finished: Path, stages: Iterable[Stage]) -> dict[str, dict[str, str]]:
    """Hashes of what the stages wrote in the usual surroundings."""
    return {stage.name: hashes(finished, stage.outs) for stage in stages}


@pytest.mark.slow
@pytest.mark.full
@needs_locale
def test_somebody_elses_machine_changes_no_byte_of_any_output(finished: Path, tmp_path: Path) -> None:
    others = hostile(tmp_path)
    write_wrapper(others)
    copy_sources(finished, others.tree, "tiny", [])
    stages = read_stages(others.tree)
    found = {name: machines["hostile"] for name, machines in run_all([others], stages, 2).found.items()}
    assert check_processes(others, stages) > len(stages) > 30
    assert found == outputs(finished, stages)
    kernels = [
        json.loads(path.read_text()).get("kernels")
        for folder in ("training", "metrics/seed0")
        for path in (others.tree / "reports/tiny" / folder).glob("*.json")
    ]
    assert len(kernels) > 10 and set(kernels) == {"deterministic"}
    written = [path for path in (others.tree / "reports/tiny").rglob("*") if path.is_file()]
    assert len(written) > 20
    assert all(path.stat().st_mode & 0o077 == 0 for path in written), "the umask was another one"


def run_again(finished: Path, machine: Machine, wanted: Sequence[str]) -> None:
    """Stages of a copy of the finished pipeline, in the machine's surroundings: their outputs must be the same."""
    write_wrapper(machine)
    shutil.copytree(finished, machine.tree, symlinks=True)
    stages = [stage for stage in read_stages(machine.tree) if stage.name in wanted]
    assert {stage.name for stage in stages} == set(wanted)
    for stage in stages:
        for out in stage.outs:
            path = machine.tree / out
            shutil.rmtree(path) if path.is_dir() else path.unlink()
        run(machine, stage)
    assert outputs(machine.tree, stages) == outputs(finished, stages)


@pytest.mark.slow
@pytest.mark.parametrize(
    "stages",
    [("align_words@tiny-ja", "compare@tiny"), pytest.param(("report@tiny",), marks=pytest.mark.full)],
    ids=["words and tables", "report"],
)
def test_a_locale_of_ascii_alone_changes_no_byte(finished: Path, tmp_path: Path, stages: tuple[str, ...]) -> None:
    """The stages that read and write the most text: Japanese words, tables, the notebook and its page."""
    ascii_alone = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    machine = Machine("ascii", tmp_path / "ascii", settings=ascii_alone)
    run_again(finished, machine, stages)


@pytest.mark.slow
@needs_locale
def test_somebody_elses_machine_changes_no_byte_of_a_student_and_the_report(finished: Path, tmp_path: Path) -> None:
    """A training and the pictures and page: what depends most on threads, processor, fonts and settings."""
    run_again(finished, hostile(tmp_path), ("clseave@tiny-ja-0", "report@tiny"))


@pytest.fixture
def surroundings(tmp_path: Path) -> dict[str, str]:
    """What the other test starts with, to show that it is as hostile as it looks."""
    return somebody(tmp_path)


@needs_locale
def test_the_surroundings_are_hostile(surroundings: dict[str, str]) -> None:
    """Without the pipeline's care these settings do change what programs see."""
    code = """
import locale, sys
locale.setlocale(locale.LC_ALL, "")
import matplotlib as mpl
from matplotlib import font_manager
print(locale.localeconv()["decimal_point"], sys.stdout.encoding, mpl.rcParams["font.size"])
print(any(font.fname.startswith(sys.argv[1]) for font in font_manager.fontManager.ttflist))
"""
    done = subprocess.run(
        [sys.executable, "-c", code, surroundings["HOME"]],
        env={"PATH": os.environ["PATH"], **surroundings},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.stdout.split() == [",", "iso8859-1", "25.0", "True"], done.stderr
