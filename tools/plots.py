"""Draw DVC's plots into one page that needs no network: `dvc plots show` with its drawing code (Vega) in the page.

python tools/plots.py                                    all curves of the results
python tools/plots.py diff HEAD~1 --targets reports/...   the arguments of `dvc plots show` or `dvc plots diff`
"""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import _path  # noqa: F401
from clseave.foundation.process import interrupts

OUT = ".work/plots"
TEMPLATE = """<!DOCTYPE html>
<html lang="en">
<head><meta charset="utf-8"><title>DVC plots</title>{refresh_tag}
<script>SCRIPT</script>
</head>
<body>{plot_divs}</body>
</html>
"""  # without DVC's {scripts}, which are addresses on the network


def template() -> str:
    """The page around the plots, with Vega, Vega-Lite and Vega-Embed in it."""
    import vl_convert

    script = vl_convert.javascript_bundle()  # type: ignore[call-arg]  # its stub lacks the default
    return TEMPLATE.replace("SCRIPT", script.replace("</script", "<\\/script"))


def main(argv: Sequence[str]) -> int:
    """Write the page; return the exit code of DVC."""
    kind, *rest = argv if argv and argv[0] in ("show", "diff") else ["show", *argv]
    folder = Path(OUT)
    folder.mkdir(parents=True, exist_ok=True)
    page = folder / "template.html"
    page.write_text(template(), encoding="utf-8")
    command = [sys.executable, "-m", "dvc", "plots", kind, "--html-template", str(page), "--out", OUT, *rest]
    return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    interrupts.end_in_one_line()
    sys.exit(main(sys.argv[1:]))
