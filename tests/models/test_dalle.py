"""DALL·E's transformer: sizes, who sees whom, what the loss counts."""

from __future__ import annotations

import dataclasses
import math
import tomllib
from importlib import resources

import pytest
import torch

from limner.config import from_table
from limner.errors import InputError, RecipeError
from limner.models.dalle import DALLE, DALLEConfig, loss
from limner.models.dalle.loss import IMAGE_WEIGHT, TEXT_WEIGHT

TINY = DALLEConfig(
    text_vocabulary=20, text_length=5, image_vocabulary=12, rows=3, columns=4, width=16, layers=3, heads=2,
    attention=("row", "column"), last="conv", conv_kernel=3,
)  # fmt: skip
MODERN = dataclasses.replace(
    TINY, activation="swiglu", mlp_ratio=8 / 3, norm="rms", bias=False, qk_norm=True, rotary=True, tied=True
)
DIGITS = dataclasses.replace(TINY, code_levels=(3, 4))
BEFORE = dataclasses.replace(TINY, text_before=2)
PAPER = DALLEConfig(
    text_vocabulary=16_384, text_length=256, image_vocabulary=8_192, rows=32, columns=32,
    width=3_968, layers=64, heads=62,
)  # fmt: skip


def _model(config: DALLEConfig = TINY, seed: int = 0) -> DALLE:
    torch.manual_seed(seed)
    model = DALLE(config)
    for parameter in model.parameters():
        # Larger than a fresh model's, so that every path shows.
        torch.nn.init.normal_(parameter, std=0.3)
    return model.eval()


def _batch(config: DALLEConfig = TINY, count: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    torch.manual_seed(1)
    text = torch.randint(0, config.text_vocabulary, (count, config.text_length))
    text[:, 3:] = torch.arange(3, config.text_length) + config.text_vocabulary
    return text, torch.randint(0, config.image_vocabulary, (count, config.layout.image))


def test_a_tied_head_has_no_matrix() -> None:
    size = {tied: sum(p.numel() for p in DALLE(dataclasses.replace(TINY, tied=tied)).parameters()) for tied in (0, 1)}
    assert size[0] - size[1] == (TINY.text_vocabulary + TINY.image_vocabulary) * TINY.width


def test_the_papers_patterns() -> None:
    names = PAPER.pattern_names
    assert names[:6] == ("row", "column", "row", "row", "row", "column")
    for i, name in enumerate(names, start=1):
        assert name == ("conv" if i == 64 else "column" if (i - 2) % 4 == 0 else "row")


@pytest.mark.parametrize("config", [TINY, MODERN, DIGITS, BEFORE], ids=["paper", "modern", "digits", "before"])
def test_shapes(config: DALLEConfig) -> None:
    model, (text, image) = _model(config), _batch(config)
    text_logits, image_logits = model(text, image)
    assert text_logits.shape == (2, 4, 20)
    assert image_logits.shape == (2, 12, 12)
    assert model(text, image[:, :5])[1].shape == (2, 6, 12)
    assert model(text)[1].shape == (2, 1, 12)


@pytest.mark.parametrize("config", [TINY, MODERN, DIGITS, BEFORE], ids=["paper", "modern", "digits", "before"])
def test_prefixes_give_the_same_logits(config: DALLEConfig) -> None:
    model, (text, image) = _model(config), _batch(config)
    whole = model(text, image)[1]
    for known in range(config.layout.image):
        torch.testing.assert_close(model(text, image[:, :known])[1], whole[:, : known + 1], atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize("config", [TINY, MODERN, DIGITS, BEFORE], ids=["paper", "modern", "digits", "before"])
def test_nothing_sees_what_comes_later(config: DALLEConfig) -> None:
    model, (text, image) = _model(config), _batch(config, 1)
    embedded = torch.cat([model.embed_text(text), model.embed_image(image[:, :-1])], dim=1).detach().requires_grad_()
    x = embedded
    turn = model.rotation(torch.arange(x.shape[1]))
    for block in model.blocks:
        x = block(x, config.layout, turn)
    seen = torch.stack([
        torch.autograd.grad(x[0, i].square().sum(), embedded, retain_graph=True)[0][0].abs().sum(-1) > 0
        for i in range(x.shape[1])
    ])  # fmt: skip
    assert not seen.triu(1).any()
    assert seen.diagonal().all()
    text_length = config.text_length
    assert seen[text_length:, :text_length].all(), "every image token sees the whole caption"
    reach = torch.eye(x.shape[1], dtype=torch.bool)
    for pattern in config.patterns:
        reach = (pattern.mask(config.layout)[:-1, :-1].int() @ reach.int()) > 0
    assert torch.equal(seen, reach), "and the image what the layers' patterns together let through"


def test_caption_logits_do_not_depend_on_the_picture() -> None:
    model, (text, image) = _model(), _batch()
    assert torch.equal(model(text, image)[0], model(text, image.flip(0).flip(1))[0])


def test_embeddings_are_token_and_place() -> None:
    model, (text, image) = _model(), _batch()
    whole = model.embed_image(image)
    torch.testing.assert_close(model.embed_image(image[:, 7:9], torch.tensor([7, 8])), whole[:, 7:9])
    scattered = model.embed_image(image.gather(1, torch.tensor([[3], [10]])), torch.tensor([[3], [10]]))
    torch.testing.assert_close(scattered[:, 0], torch.stack([whole[0, 3], whole[1, 10]]))
    by_hand = (
        model.image_embedding.weight[image[0, 6]] + model.row_positions.weight[1] + model.column_positions.weight[2]
    )
    torch.testing.assert_close(whole[0, 6], by_hand)
    torch.testing.assert_close(
        model.embed_text(text)[0, 4], model.text_embedding.weight[20 + 4] + model.text_positions.weight[4]
    )


def test_the_tokens_before_are_mixed_into_a_captions_embeddings() -> None:
    model, (text, _) = _model(BEFORE), _batch(BEFORE)
    whole = model.embed_text(text)
    for length in range(1, 6):
        torch.testing.assert_close(model.embed_text(text[:, :length]), whole[:, :length])
    for changed in range(5):
        other = text.clone()
        other[:, changed] = (other[:, changed] + 1) % 20
        moved = (model.embed_text(other) != whole).any(-1).any(0).nonzero().flatten().tolist()
        assert moved == list(range(changed, min(5, changed + 3)))
    torch.manual_seed(0)
    fresh = DALLE(BEFORE)
    words = fresh.text_embedding(text)
    plain = words[:, 2] + 0.4 * words[:, 1] + 0.16 * words[:, 0] + fresh.text_positions.weight[2]
    torch.testing.assert_close(fresh.embed_text(text)[:, 2], plain)
    with pytest.raises(RecipeError, match="text_before: expected 0 or more"):
        dataclasses.replace(TINY, text_before=-1)


def test_a_code_that_is_not_told_is_a_place_alone() -> None:
    model, (text, image) = _model(), _batch()
    hidden = image.clone()
    hidden[:, 3] = -1
    embedded, whole = model.embed_image(hidden), model.embed_image(image)
    assert torch.equal(embedded[:, :3], whole[:, :3]) and torch.equal(embedded[:, 4:], whole[:, 4:])
    torch.testing.assert_close(embedded[0, 3], model.row_positions.weight[0] + model.column_positions.weight[3])
    logits = model(text, hidden)[1]
    assert torch.equal(logits[:, :4], model(text, image)[1][:, :4]) and logits.isfinite().all()


def test_loss_weights_and_pads() -> None:
    model, (text, image) = _model(), _batch(count=3)
    total, parts = loss(model, text, image)
    text_logits, image_logits = model(text, image)
    # Ids 1 and 2 of the caption are words, 3 and 4 pads, which are no targets; id 0 is never predicted.
    words = torch.nn.functional.cross_entropy(text_logits[:, :2].flatten(0, 1), text[:, 1:3].flatten())
    codes = torch.nn.functional.cross_entropy(image_logits.flatten(0, 1), image.flatten())
    torch.testing.assert_close(parts["text"], words)
    torch.testing.assert_close(parts["image"], codes)
    torch.testing.assert_close(total, words / 8 + codes * 7 / 8)
    assert TEXT_WEIGHT + IMAGE_WEIGHT == 1
    assert not parts["text"].requires_grad


def test_loss_is_the_same_for_compilers(monkeypatch: pytest.MonkeyPatch) -> None:
    model, (text, image) = _model(), _batch(count=3)
    plain = loss(model, text, image)[0]
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(loss(model, text, image)[0], plain)


def test_dropped_captions_have_no_text_loss() -> None:
    model, (_, image) = _model(), _batch()
    pads = (torch.arange(5) + 20).expand(2, -1)
    total, parts = loss(model, pads, image)
    assert parts["text"] == 0
    total.backward()
    assert all(p.grad is None or p.grad.isfinite().all() for p in model.parameters())


def test_a_fresh_model_knows_nothing() -> None:
    torch.manual_seed(0)
    model, (text, image) = DALLE(TINY), _batch(count=8)
    _, parts = loss(model, text, image)
    assert parts["image"].item() == pytest.approx(math.log(12), abs=0.05)
    assert parts["text"].item() == pytest.approx(math.log(20), abs=0.05)


@pytest.mark.parametrize("config", [TINY, MODERN, DIGITS, BEFORE], ids=["paper", "modern", "digits", "before"])
def test_recomputing_changes_nothing(config: DALLEConfig) -> None:
    model, (text, image) = _model(config).train(), _batch(config)
    grads = []
    for recompute in (False, True):
        model.recompute = recompute
        model.zero_grad()
        loss(model, text, image)[0].backward()
        grads.append([p.grad.clone() for p in model.parameters()])  # type: ignore[union-attr]
    assert all(torch.equal(a, b) for a, b in zip(*grads, strict=True))


@pytest.mark.parametrize("config", [TINY, MODERN, DIGITS, BEFORE], ids=["paper", "modern", "digits", "before"])
def test_bfloat16_is_near_float32(config: DALLEConfig) -> None:
    torch.manual_seed(0)
    model, (text, image) = DALLE(config), _batch(config)
    full = loss(model, text, image)[0]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = loss(model, text, image)[0]
    half.backward()
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(full.item(), abs=0.02)
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters())


@pytest.mark.parametrize("config", [TINY, MODERN, DIGITS, BEFORE], ids=["paper", "modern", "digits", "before"])
def test_learns_a_batch_by_heart(config: DALLEConfig) -> None:
    torch.manual_seed(0)
    model, (text, image) = DALLE(config), _batch(config)
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    for _ in range(60):
        total, parts = loss(model, text, image)
        optimizer.zero_grad()
        total.backward()
        optimizer.step()
    assert parts["image"] < 0.1
    assert parts["text"] < 0.8, "both captions begin alike up to their first word, which nothing predicts"


def test_runs_without_weights() -> None:
    # What a plan counts operations by.
    with torch.device("meta"):
        model = DALLE(dataclasses.replace(PAPER, layers=3, width=128, heads=2, attention=("row", "column")))
        text, image = torch.zeros(1, 256, dtype=torch.int64), torch.zeros(1, 1024, dtype=torch.int64)
        assert model(text, image)[1].shape == (1, 1024, 8192)
        model.hidden(text, image).sum().backward()


@pytest.mark.slow
def test_one_graph_for_compilers() -> None:
    torch.manual_seed(0)
    config = dataclasses.replace(TINY, rows=8, columns=8)
    model, (text, image) = _model(config), _batch(config)
    compiled = torch.compile(model, backend="eager", fullgraph=True)
    torch.testing.assert_close(loss(compiled, text, image)[0], loss(model, text, image)[0])  # type: ignore[arg-type]
    torch._dynamo.reset()


def test_bad_input() -> None:
    model, (text, image) = _model(), _batch()
    with pytest.raises(InputError, match="rows of 5 tokens, got 4"):
        model(text[:, :4], image)
    with pytest.raises(InputError, match="at most 12 codes, got 13"):
        model(text, torch.zeros(2, 13, dtype=torch.int64))


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("layers", 0, "layers"),
        ("heads", 3, "multiple of heads"),
        ("attention", (), "at least one"),
        ("conv_kernel", 4, "odd"),
        ("mlp_ratio", 0.0, "mlp_ratio"),
        ("text_length", -1, "text_length"),
    ],
)
def test_bad_sizes(field: str, value: object, message: str) -> None:
    with pytest.raises(RecipeError, match=message):
        dataclasses.replace(TINY, **{field: value})  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "parameters"), [("12b", 12_292_808_448), ("5_6b", 5_684_974_848), ("2_8b", 2_928_234_240)]
)
def test_recipes_of_the_paper(name: str, parameters: int) -> None:
    text = resources.files("limner").joinpath("recipes", f"dalle_{name}.toml").read_text(encoding="utf-8")
    config = from_table(DALLEConfig, tomllib.loads(text)["model"])
    assert f"{parameters:,}" in text.splitlines()[0]
    with torch.device("meta"):
        assert sum(p.numel() for p in DALLE(config).parameters()) == parameters
    assert (config.layers, config.width // config.heads) == (64, 64)
    assert dataclasses.replace(config, width=3_968, heads=62) == PAPER


def test_codes_that_share_digits_share_vectors() -> None:
    model = DALLE(DIGITS)
    with torch.no_grad():
        model.image_embedding.weight.zero_()
    table = model.image_table()
    # Code 7 is digits (1, 2); 4 is (1, 1) and 6 is (0, 2), so 7 = 4 + 6 - 3, where 3 is (0, 1).
    torch.testing.assert_close(table[7], table[4] + table[6] - table[3])
    assert model.image_head().shape == (12, 16)
    with pytest.raises(RecipeError, match="product of code_levels"):
        dataclasses.replace(TINY, code_levels=(3, 5))
