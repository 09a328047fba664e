"""What every interpreter of `prove_exact.py` runs first: it signs a list and, if it must, proves that it is emulated.

Python imports a module of this name when it starts; only the wrapper that `prove_exact.py` puts first on PATH has this
folder on its path. On an x86 host a child of an emulated program runs natively unless it, too, is started through the
emulator, and its bytes would then be compared with themselves. So `sys.executable`, from which notebook kernels and
worker processes are started, becomes the wrapper, and an interpreter that should be emulated ends at once where the
kernel's release is not the emulator's or numpy sees what the emulated processor lacks.
"""

import json
import os
import sys
from pathlib import Path


def features() -> dict[str, bool]:
    """Return what numpy finds of this process's processor.

    numpy reads the pins when it loads, so they are set first; that the pipeline's entry sets them by itself shows in
    the native run, which does not come here (with `--preload` it does: tests/pipeline/test_exact_surroundings.py then
    shows it). They choose kernels and hide no feature. Under emulation numpy also goes without its kernels for AVX2,
    which it has everywhere else: qemu 7.2 executes its `argsort` wrongly (pandas then reads outside its arrays). What
    numpy gives must not depend on that choice either.
    """
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
    from clseave.foundation.process import numerics

    numerics.pin()
    os.environ["NPY_DISABLE_CPU_FEATURES"] += " X86_V3"
    from numpy._core._multiarray_umath import __cpu_features__

    os.environ.update(numerics.PINS)
    # The copy of the code that is to run brings its own.
    del sys.path[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == "clseave"]:
        del sys.modules[name]
    return dict(__cpu_features__)


def fault(cpu: str, release: str, forbidden: list[str]) -> str:
    """Why this process is not on that emulated processor; empty when it is."""
    if os.uname().release != release:
        return f"kernel {os.uname().release}, expected the emulator's {release}"
    found = features()
    seen = [name for name in forbidden if found[name]]
    return f"found {' and '.join(seen)}, expected a processor {cpu} without" if seen else ""


def sign(path: str, cpu: str, argv: list[str]) -> None:
    """Add a process to the list: one JSON line with its command line, in one write."""
    row = json.dumps({"cpu": cpu, "argv": argv}) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(descriptor, row.encode())
    os.close(descriptor)


def main() -> None:
    """Sign; what must be emulated and is not ends here, by `_exit`, since Python would go on after an exception."""
    sys.executable = os.environ["EXACT_PYTHON"]
    cpu = os.environ["EXACT_CPU"]
    if cpu and (reason := fault(cpu, os.environ["EXACT_RELEASE"], os.environ["EXACT_FORBIDDEN"].split())):
        os.write(2, f"error: not emulated: {reason}\n".encode())
        os._exit(3)
    sign(os.environ["EXACT_PROCESSES"], cpu, sys.orig_argv[1:])


if "EXACT_PYTHON" in os.environ:
    main()
