"""The token step through each other engine against whole passes of the model and against torch's step."""

from __future__ import annotations

import re
import sys

import pytest
import torch
from tests.sampling.conftest import check_same_bits, delayed, redrawn, small_dalle
from tests.sampling.test_step import VARIANTS, every_next, random_codes

from limner.engines import onnxruntime_step, openvino_step
from limner.errors import InputError, MissingExtra
from limner.models.dalle import DALLE
from limner.sampling.edit import Effort
from limner.sampling.engine_step import EngineStep
from limner.sampling.generate import Candidate, draw_codes
from limner.sampling.settings import SamplingSettings
from limner.sampling.step import TokenStep

COMPILED = {"openvino": openvino_step.OpenVINOStep, "onnxruntime": onnxruntime_step.ONNXRuntimeStep}
PRECISIONS = [("openvino", name) for name in openvino_step.PRECISIONS]
PRECISIONS += [("onnxruntime", name) for name in onnxruntime_step.PRECISIONS]


def engine(name: str, model: DALLE, precision: str = "float32") -> EngineStep:
    pytest.importorskip(name)
    return EngineStep(model, COMPILED[name](model, precision, threads=1))


@pytest.fixture(scope="module", params=COMPILED)
def name(request: pytest.FixtureRequest) -> str:
    return request.param


@pytest.fixture(scope="module")
def fast(name: str, dalle: DALLE) -> EngineStep:
    return engine(name, dalle)


@pytest.mark.parametrize("variant", VARIANTS)
def test_logits_are_the_uncached(name, variant, caption):
    model = small_dalle(**VARIANTS[variant])
    step, codes = engine(name, model), random_codes(model, 3)
    expected = every_next(model, caption, codes)
    state = step.begin([(step.read(caption), 3)])
    for i in range(model.config.layout.image - 1):
        logits = step.advance(state, codes[:, i], i)
        assert torch.allclose(logits, expected[:, i + 1], atol=1e-4), i


@pytest.mark.parametrize("length", [1, 6, 29])
def test_any_given_prefix_and_several_captions(dalle, fast, caption, empty, length):
    codes = random_codes(dalle, 1).expand(5, -1).clone()
    codes[:, length:] = random_codes(dalle, 5)[:, length:]
    expected = every_next(dalle, caption, codes).clone()
    expected[3:] = every_next(dalle, empty, codes)[3:]
    given = codes[0, :length]
    state = fast.begin([(fast.read(caption, given), 3), (fast.read(empty, given), 2)])
    for i in range(length, 29):
        assert torch.allclose(fast.advance(state, codes[:, i], i), expected[:, i + 1], atol=1e-4), i


def test_rows_at_different_positions(fast, dalle, caption, empty):
    spans = [(fast.read(caption), 3), (fast.read(empty), 2)]
    same, apart = delayed(fast, spans, random_codes(dalle, 5))
    assert torch.equal(apart, same)


@pytest.mark.parametrize(("name", "precision"), PRECISIONS)
def test_a_row_has_the_same_bits_in_every_batch(name, precision, caption, empty):
    model = small_dalle(width=96, heads=3, rows=4, columns=4)
    check_same_bits(engine(name, model, precision), caption, empty, random_codes(model, 64))


def test_onnxruntime_computes_one_row_alone(dalle):
    # What OpenVINO and torch need two or more rows for, in some precisions.
    assert [engine("onnxruntime", dalle, precision).least for precision in onnxruntime_step.PRECISIONS] == [1, 1]


@pytest.mark.parametrize(("name", "precision"), PRECISIONS)
def test_precisions_stay_within_their_bounds(name, precision, dalle, caption):
    codes = random_codes(dalle, 16)
    expected = every_next(dalle, caption, codes)[:, 1:]
    step = engine(name, dalle, precision)
    state = step.begin([(step.read(caption), 16)])
    logits = torch.stack([step.advance(state, codes[:, i], i) for i in range(29)], dim=1)
    error = (logits - expected).square().mean().sqrt() / expected.std()
    assert error < {"float32": 1e-5, "bf16": 0.02, "int8": 0.02}[precision]


def test_bytes_of_zeros_and_of_the_widest_range(caption):
    """Rows of zeros have no scale, and weights at the ends of their range are clipped in sums of 16 bits."""
    model = small_dalle(bias=False, norm="rms")
    for block in model.blocks:
        block.ln_2.weight.zero_()
    model.head.weight.copy_(torch.sign(model.head.weight) * 3)
    codes, by_bytes = random_codes(model, 8), engine("onnxruntime", model, "int8")
    context = by_bytes.read(caption)
    logits = [step.advance(step.begin([(context, 8)]), codes[:, 0], 0) for step in (by_bytes, TokenStep(model))]
    assert ((logits[0] - logits[1]).square().mean().sqrt() / logits[1].std()) < 0.02


@pytest.mark.parametrize("guidance", [1.0, 2.0])
def test_drawing_is_torchs(dalle, fast, caption, empty, guidance):
    settings = SamplingSettings(guidance=guidance)

    def draw(step, numbers):
        context = step.read(caption)
        candidates = [Candidate(context, 3, number) for number in numbers]
        return draw_codes(step, candidates, settings, empty=step.read(empty)).codes

    drawn = draw(fast, range(20))
    assert torch.equal(drawn, draw(TokenStep(dalle), range(20)))
    assert torch.equal(draw(fast, [13]), drawn[13:14])


def test_editing_is_torchs(dalle, fast, caption):
    free = torch.zeros(30, dtype=torch.bool)
    free[6:19] = True
    drawn = [
        redrawn(step, caption, random_codes(dalle, 1)[0], free, [0, 1], seed=2, settings=SamplingSettings(),
               effort=Effort(particles=8, sweeps=1))
        for step in (fast, TokenStep(dalle))
    ]  # fmt: skip
    assert torch.equal(*drawn)


def test_unknown_precisions_are_named(dalle):
    with pytest.raises(InputError, match="precision: expected float32, bf16, int8, got 'fp4'"):
        openvino_step.OpenVINOStep(dalle, "fp4", threads=1)
    with pytest.raises(InputError, match="precision: expected float32 or int8 with onnxruntime, got 'bf16'"):
        onnxruntime_step.ONNXRuntimeStep(dalle, "bf16", threads=1)


@pytest.mark.parametrize("missing", ["onnxruntime", "onnx"])
def test_what_is_missing_is_named(dalle, missing, monkeypatch):
    step = engine("onnxruntime", dalle)
    monkeypatch.setitem(sys.modules, missing, None)
    line = f"{missing} is not installed; pip install 'limner[onnx]', or use engine torch"
    with pytest.raises(MissingExtra, match=re.escape(line)):
        EngineStep(step.model, onnxruntime_step.ONNXRuntimeStep(dalle, "float32", threads=1))
