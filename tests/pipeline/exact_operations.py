"""Hashes of what many operations of torch and numpy give for the same random numbers, under the numeric pins.

A program: `python exact_operations.py OUT` writes `{name: hash}` as JSON. Run natively and under emulated processors,
it shows which operations depend on the processor in spite of the pins.
"""

import hashlib
import json
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "src"))

from clseave.foundation.process import numerics

numerics.pin()

import numpy as np  # noqa: E402
import torch  # noqa: E402
from torch.nn import functional  # noqa: E402

TORCH = (
    "abs acos acosh asin asinh atan atanh cos cosh digamma erf erfc erfinv exp exp2 expm1 i0 lgamma log log10 log1p "
    "log2 logit reciprocal rsqrt sigmoid sin sinc sinh sqrt square tan tanh"
).split()
ACTIVATIONS = "gelu silu softplus mish elu selu celu hardswish logsigmoid softsign".split()
NUMPY = (
    "exp exp2 expm1 log log2 log10 log1p sqrt cbrt sin cos tan arcsin arccos arctan sinh cosh tanh arcsinh arccosh "
    "arctanh reciprocal square"
).split()
EXPONENTS = (0.5, -0.5, 1.5, 2, 3, -1, -2, 1 / 3, 2.7)
SIDE = 240
Calls = dict[str, Callable[[], np.ndarray | torch.Tensor]]


def numbers(kind: str) -> np.ndarray:
    """Numbers of every size: normal, in [0, 1), wide, and of all magnitudes from 1e-30 to 1e30."""
    rng = np.random.default_rng(0)
    parts = rng.normal(size=20000), rng.random(20000), rng.normal(size=10000) * 30, 10.0 ** rng.uniform(-30, 30, 10000)
    return np.concatenate(parts).astype(kind)


def elements(x: torch.Tensor) -> Calls:
    """Functions of single elements."""
    found: Calls = {f"torch.{name}": lambda name=name: getattr(torch, name)(x) for name in TORCH}
    found |= {f"F.{name}": lambda name=name: getattr(functional, name)(x) for name in ACTIVATIONS}
    found |= {f"torch.pow {value:.3g}": lambda value=value: torch.pow(x.abs() + 1e-3, value) for value in EXPONENTS}
    return found | {"F.gelu tanh": lambda: functional.gelu(x, approximate="tanh")}


def tables(m: torch.Tensor) -> Calls:
    """Functions of a matrix: sums, products, norms."""
    t, small, wide = m.T.contiguous(), m[:40, :40].clamp(-5, 5), m.view(10, 24, SIDE)
    heads = m.view(1, 4, SIDE // 4, SIDE)
    kernel = torch.full((4, 1, 16, 16), 1 / 3, dtype=m.dtype)
    return {
        "torch.softmax": lambda: torch.softmax(m, -1),
        "torch.log_softmax": lambda: torch.log_softmax(m, -1),
        "torch.logsumexp": lambda: torch.logsumexp(m, -1),
        "torch.vector_norm": lambda: torch.linalg.vector_norm(m, dim=-1),
        "torch.matrix_norm": lambda: torch.linalg.matrix_norm(m),
        "F.normalize": lambda: functional.normalize(m, dim=-1),
        "F.cosine_similarity": lambda: functional.cosine_similarity(m, t, dim=-1),
        "torch.cdist": lambda: torch.cdist(m[:20], m[20:60]),
        "torch.std": lambda: m.std(-1),
        "torch.var": lambda: m.var(-1),
        "F.layer_norm": lambda: functional.layer_norm(m, (SIDE,)),
        "F.batch_norm": lambda: functional.batch_norm(m, None, None, training=True),
        "F.rms_norm": lambda: functional.rms_norm(m, (SIDE,)),
        "torch.matmul": lambda: m @ t,
        "torch.bmm": lambda: torch.bmm(wide, wide.transpose(1, 2)),
        "F.conv2d": lambda: functional.conv2d(m.view(1, 1, SIDE, SIDE), kernel, stride=16),
        "F.sdpa": lambda: functional.scaled_dot_product_attention(heads, heads, heads),
        "torch.sum": m.sum,
        "torch.mean": lambda: m.mean(-1),
        "torch.cumsum": lambda: m.cumsum(-1),
        "torch.logaddexp": lambda: torch.logaddexp(m, t),
        "torch.atan2": lambda: torch.atan2(m, t),
        "torch.hypot": lambda: torch.hypot(m, t),
        "torch.div": lambda: m / t,
        "torch.addcdiv": lambda: torch.addcdiv(m, m, t),
        "torch.svdvals": lambda: torch.linalg.svdvals(small),
        "torch.dropout": lambda: functional.dropout(m, 0.1),
        "torch.normal_": lambda: torch.empty_like(m).normal_(),
        "torch.trunc_normal_": lambda: torch.nn.init.trunc_normal_(torch.empty_like(m)),
        "torch.uniform_": lambda: torch.empty_like(m).uniform_(),
    }


def arrays(a: np.ndarray) -> Calls:
    """numpy's functions."""
    m = a[: SIDE * SIDE].reshape(SIDE, SIDE)
    found: Calls = {f"np.{name}": lambda name=name: getattr(np, name)(a) for name in NUMPY}
    found |= {f"np.power {value:.3g}": lambda value=value: np.power(np.abs(a) + 1e-3, value) for value in EXPONENTS}
    return found | {
        "np.sum": lambda: m.sum(0),
        "np.mean": lambda: m.mean(1),
        "np.std": lambda: m.std(1),
        "np.matmul": lambda: m @ m.T,
        "np.einsum": lambda: np.einsum("ij,kj->ik", m, m),
        "np.norm": lambda: np.linalg.norm(m, axis=1),
        "np.svd": lambda: np.linalg.svd(np.clip(m[:40, :40], -5, 5))[1],
        "np.hypot": lambda: np.hypot(m, m.T),
        "np.arctan2": lambda: np.arctan2(m, m.T),
        "np.logaddexp": lambda: np.logaddexp(m, m.T),
        "np.percentile": lambda: np.percentile(m, [2.5, 97.5], axis=0),
    }


def optimise(**settings: bool) -> torch.Tensor:
    """Weights after five steps of AdamW with a clipped gradient."""
    torch.manual_seed(2)
    x, weights = torch.randn(64, 64), torch.nn.Parameter(torch.randn(64, 64) / 8)
    optimiser = torch.optim.AdamW([weights], lr=1e-2, **settings)
    for _ in range(5):
        optimiser.zero_grad()
        functional.gelu(torch.tanh(x) @ weights).pow(2).mean().backward()
        torch.nn.utils.clip_grad_norm_([weights], 1.0)
        optimiser.step()
    return weights.detach()


def hashes() -> Iterator[tuple[str, str]]:
    """Every operation's name, with the kind of number, and the hash of its result."""
    for kind in ("float32", "float64"):
        a = numbers(kind)
        x = torch.from_numpy(a)
        for name, call in {**elements(x), **tables(x[: SIDE * SIDE].view(SIDE, SIDE)), **arrays(a)}.items():
            torch.manual_seed(1)
            with np.errstate(all="ignore"):
                yield f"{name} {kind}", digest(call())
    for settings in ({"fused": True}, {"foreach": True}, {"foreach": False}):
        yield f"AdamW {settings}", digest(optimise(**settings))


def digest(result: np.ndarray | torch.Tensor) -> str:
    return hashlib.sha256(np.ascontiguousarray(result).tobytes()).hexdigest()


if __name__ == "__main__":
    numerics.start_torch(0, "cpu")
    Path(sys.argv[1]).write_text(json.dumps(dict(hashes()), indent=1))
