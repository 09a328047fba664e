"""Serve a page on which one picture is judged with a sentence in each language.

  %(prog)s --model models/mini

The page is at http://127.0.0.1:7860, for this machine alone, until Ctrl-C. With models of the generated world a scene
can be arranged and sentences picked; with others, a photo is uploaded. It needs Gradio: `make demo` in a checkout,
in another environment `pip install ".[demo]"`.
"""

import argparse
import os
import socket
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from clseave.foundation.errors import UserError
from clseave.foundation.process import cli, numerics
from clseave.foundation.rows.training_record import read
from clseave.inference import folders
from clseave.inference.entailment import Entailment

PORT = 7860


def parser() -> argparse.ArgumentParser:
    """Return the command's argument parser."""
    made = cli.parser(__doc__)
    made.add_argument("--model", default="models/mini", metavar="DIR", help="as of predict (default: %(default)s)")
    made.add_argument("--language", action="append", default=[], help="one to show; may be repeated (default: all)")
    made.add_argument("--port", type=int, default=PORT, help="0 chooses a free one (default: %(default)s)")
    made.add_argument("--device", choices=["cpu", "cuda", "auto"], default="cpu", help="(default: %(default)s)")
    return made


def noise_of(clip: Path) -> int | None:
    """The noise of the generated images that an image tower was trained on; None for one of photos."""
    record = read(clip)
    if record is None or record.origin is None or record.origin.corpus != "scenes":
        return None
    return int(record.parameters.get("source", {}).get("noise", 0))


def free_port(wanted: int, host: str) -> int:
    """The wanted port, or a free one for 0. UserError when it is taken."""
    with socket.socket() as trial:
        trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            trial.bind((host, wanted))
        except (OSError, OverflowError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"port {wanted}: {reason}: choose another, --port 0 for a free one") from error
        return int(trial.getsockname()[1])


def main(argv: Sequence[str] | None = None) -> None:
    """Load the models and serve the page."""
    options = parser().parse_args(argv)
    with tempfile.TemporaryDirectory(prefix="demo-") as uploads:
        # Read when Gradio is imported or a file is uploaded; it shall not count its use, nor keep what visitors upload.
        os.environ.update(GRADIO_ANALYTICS_ENABLED="False", GRADIO_TEMP_DIR=uploads)
        try:
            import gradio  # noqa: F401
        except ImportError as error:
            raise UserError(f'Gradio cannot be loaded ({error}): `make demo`, or `pip install ".[demo]"`') from error
        from clseave.demonstration import page, scenes, server

        port = free_port(options.port, server.HOST)
        found = folders.find(options.model, options.language)
        device = numerics.start_torch(0, options.device)
        noise = noise_of(found.clip)
        if noise is not None:
            scenes.translations("", "en")  # the table of sentences is made once
        made = page.Page(Entailment(found, device=device), noise, np.random.default_rng())
        server.serve(made.build(), port)
