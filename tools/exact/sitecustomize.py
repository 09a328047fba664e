"""Start-up hook of every interpreter of `prove_exact.py`: registers the process and checks that it is emulated.

Python imports a module of this name when it starts; only the wrapper that `prove_exact.py` puts first on PATH has this
folder on its path. On an x86 host a child of an emulated program runs natively unless it is started through the
emulator too, and native outputs would then be compared with themselves. Therefore `sys.executable`, from which notebook
kernels and worker processes are started, is set to the wrapper. An interpreter that should be emulated exits at once
when the kernel's release is not the emulator's, or numpy finds a processor feature that the emulated one lacks.
"""

import json
import os
import sys
from pathlib import Path


def features() -> dict[str, bool]:
    """Return the processor features that numpy finds in this process.

    numpy reads the numeric settings (`numerics.PINS`) when it is imported, so they are set first. That the pipeline
    sets them itself is tested by the native run, which does not call this function (with `--preload` it does, and
    tests/pipeline/test_exact_surroundings.py tests it). The settings choose kernels and hide no feature. Under
    emulation numpy also runs without its AVX2 kernels, which it uses everywhere else, because qemu 7.2 executes their
    `argsort` wrongly (pandas then reads outside its arrays). The outputs must not depend on that choice either.
    """
    sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))
    from clseave.foundation.process import numerics

    numerics.pin()
    os.environ["NPY_DISABLE_CPU_FEATURES"] += " X86_V3"
    from numpy._core._multiarray_umath import __cpu_features__

    os.environ.update(numerics.PINS)
    # The code under test imports its own copy of the package.
    del sys.path[0]
    for name in [name for name in sys.modules if name.partition(".")[0] == "clseave"]:
        del sys.modules[name]
    return dict(__cpu_features__)


def fault(cpu: str, release: str, forbidden: list[str]) -> str:
    """Return why this process is not on the emulated processor `cpu`; empty when it is."""
    if os.uname().release != release:
        return f"kernel {os.uname().release}, expected the emulator's {release}"
    found = features()
    seen = [name for name in forbidden if found[name]]
    return f"found {' and '.join(seen)}, expected a processor {cpu} without" if seen else ""


def sign(path: str, cpu: str, argv: list[str]) -> None:
    """Register a process: append one JSON line with its command line to the list, in one write."""
    row = json.dumps({"cpu": cpu, "argv": argv}) + "\n"
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    os.write(descriptor, row.encode())
    os.close(descriptor)


def main() -> None:
    """Register this process; exit with 3 when it should be emulated but is not.

    It exits by `_exit`, because Python ignores an exception in this module and goes on.
    """
    sys.executable = os.environ["EXACT_PYTHON"]
    cpu = os.environ["EXACT_CPU"]
    if cpu and (reason := fault(cpu, os.environ["EXACT_RELEASE"], os.environ["EXACT_FORBIDDEN"].split())):
        os.write(2, f"error: not emulated: {reason}\n".encode())
        os._exit(3)
    sign(os.environ["EXACT_PROCESSES"], cpu, sys.orig_argv[1:])


if "EXACT_PYTHON" in os.environ:
    main()
