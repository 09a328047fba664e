"""Matrix products and convolutions by OpenBLAS: values by hand, against double precision, and their gradients."""

import pytest
import torch
from torch.nn import functional

from clseave.foundation.process import matrix_products


@pytest.fixture(autouse=True)
def _registered():
    matrix_products.use_openblas()


def drawn(*size, seed=0, dtype=torch.float32):
    return torch.randn(*size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def test_torch_calls_these_kernels(monkeypatch):
    calls = []
    monkeypatch.setattr(matrix_products.np, "matmul", lambda one, other, out: calls.append((one.shape, other.shape)))
    weight = drawn(4, 3).requires_grad_()
    functional.linear(drawn(2, 3), weight, drawn(4)).sum().backward()
    assert calls == [((2, 3), (3, 4)), ((4, 2), (2, 3))]  # forward (addmm), and the gradient of the weight (mm)


def test_products_by_hand():
    one, other = torch.tensor([[1.0, 2.0], [3.0, 4.0]]), torch.tensor([[5.0, 6.0], [7.0, 8.0]])
    assert torch.mm(one, other).tolist() == [[19, 22], [43, 50]]
    assert torch.addmm(torch.tensor([1.0, -1.0]), one, other).tolist() == [[20, 21], [44, 49]]
    assert torch.addmm(torch.ones(2, 2), one, other, beta=2, alpha=0.5).tolist() == [[11.5, 13], [23.5, 27]]
    nothing = torch.full((2, 2), float("nan"))
    assert torch.addmm(nothing, one, other, beta=0).tolist() == [[19, 22], [43, 50]]  # as torch: the bias is not read


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.int64, torch.bfloat16])
def test_every_type_of_number(dtype):
    one, other = (torch.arange(6).view(size).to(dtype) for size in ((2, 3), (3, 2)))
    assert torch.mm(one, other).tolist() == [[10, 13], [28, 40]] and torch.mm(one, other).dtype == dtype


@pytest.mark.parametrize("size", [(0, 3, 2), (2, 0, 2), (2, 3, 0), (1, 5, 1), (7, 33, 5)])
def test_sizes(size):
    m, k, n = size
    one, other = drawn(m, k), drawn(k, n, seed=1)
    wanted = torch.einsum("mk,kn->mn", one.double(), other.double())
    torch.testing.assert_close(torch.mm(one, other).double(), wanted, rtol=1e-5, atol=1e-5)


def test_layouts_of_memory():
    wide, other = drawn(6, 8), drawn(4, 5, seed=1)
    wanted = torch.mm(wide[::2, ::2].contiguous(), other)
    assert torch.equal(torch.mm(wide[::2, ::2], other), wanted)
    assert torch.allclose(torch.mm(wide.T[::2, ::2].T[:3], other), wanted)
    assert torch.allclose(torch.mm(other.T, wide[::2, ::2].T), wanted.T)


def test_what_does_not_fit_is_refused():
    with pytest.raises(RuntimeError, match=r"\(2, 3\).*\(2, 3\)"):
        torch.mm(drawn(2, 3), drawn(2, 3))
    with pytest.raises(RuntimeError, match=r"float32.*float64"):
        torch.mm(drawn(2, 3), drawn(3, 2, dtype=torch.float64))


def test_a_convolution_by_hand():
    image = torch.arange(16.0).view(1, 1, 4, 4)
    kernel = torch.tensor([[[[1.0, 0.0], [0.0, 2.0]]]])
    # Each patch's first number plus twice its last: 0 + 2 * 5, 2 + 2 * 7, 8 + 2 * 13, 10 + 2 * 15.
    assert functional.conv2d(image, kernel, stride=2).tolist() == [[[[10, 16], [34, 40]]]]
    assert functional.conv2d(image, kernel, torch.tensor([1.0]), stride=2).tolist() == [[[[11, 17], [35, 41]]]]


@pytest.mark.parametrize(("stride", "padding"), [(2, 0), (1, 1), (3, 2)])
def test_convolutions_and_their_gradients(stride, padding):
    """Against differences in double precision, which torch's own check of gradients takes."""
    torch.backends.mkldnn.enabled = False
    images, weight, bias = (
        drawn(*size, seed=seed, dtype=torch.float64).requires_grad_()
        for seed, size in enumerate([(2, 3, 6, 5), (4, 3, 2, 3), (4,)])
    )

    def convolve(*inputs):
        return functional.conv2d(*inputs, stride=stride, padding=padding)

    padded = functional.pad(images, [padding] * 4)
    patches = padded.unfold(2, 2, stride).unfold(3, 3, stride)  # (B, C, H', W', 2, 3)
    wanted = torch.einsum("bchwij,ocij->bohw", patches, weight) + bias[:, None, None]
    torch.testing.assert_close(convolve(images, weight, bias), wanted)
    assert torch.autograd.gradcheck(convolve, (images, weight, bias))


def test_a_second_call_registers_nothing():
    before = list(matrix_products._registered)
    matrix_products.use_openblas()
    assert matrix_products._registered == before and len(before) == 1
