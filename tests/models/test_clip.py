"""The towers: what other people's code answers for the same weights, and the properties that uses of CLIP rest on."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from torch import Tensor
from torch.nn import functional as F

from limner.models.clip.config import CLIPConfig, ResNetConfig, TextConfig, ViTConfig
from limner.models.clip.loss import loss
from limner.models.clip.model import CLIP, normalise

TEXT = TextConfig(vocabulary=40, context=12, width=16, layers=2, heads=2)
VIT = ViTConfig(layers=2, width=16, patch=8, heads=2)
TINY = CLIPConfig(embedding=8, resolution=16, vision=VIT, text=TEXT)
RESNET = CLIPConfig(embedding=8, resolution=64, vision=ResNetConfig(layers=(1, 1, 1, 1), width=4), text=TEXT)


def open_clip(folder: Path) -> tuple[CLIP, dict[str, Tensor]]:
    """A fixture of open_clip's, by the shortest way from its config to ours."""
    table = json.loads((folder / "open_clip_config.json").read_text())["model_cfg"]
    vision, text = table["vision_cfg"], table["text_cfg"]
    gelu = "quick_gelu" if table.get("quick_gelu") else "gelu"
    act = "gelu_tanh" if "act_kwargs" in text else gelu
    eps = text.get("norm_kwargs", {}).get("eps", 1e-5)
    config = CLIPConfig(
        embedding=table["embed_dim"],
        resolution=vision["image_size"],
        vision=ViTConfig(
            layers=vision["layers"],
            width=vision["width"],
            patch=vision["patch_size"],
            heads=vision["width"] // vision.get("head_width", 64),
            mlp_width=int(vision["width"] * vision.get("mlp_ratio", 4)),
            activation=act,
            norm_eps=eps,
            layer_scale=vision.get("ls_init_value"),
            pre_norm=not vision.get("no_ln_pre"),
            pool="average" if vision.get("pool_type") == "avg" else "class",
        ),
        text=TextConfig(
            vocabulary=text["vocab_size"],
            context=text["context_length"],
            width=text["width"],
            layers=text["layers"],
            heads=text["heads"],
            mlp_width=int(text["width"] * text.get("mlp_ratio", 4)),
            activation=act,
            norm_eps=eps,
            layer_scale=text.get("ls_init_value"),
            causal=not text.get("no_causal_mask"),
            pool=text.get("pool_type", "argmax"),
            projection_bias=bool(text.get("proj_bias")),
        ),
        logit_bias=table.get("init_logit_bias"),
    )
    state = {k.removeprefix("text."): v.float() for k, v in load_file(folder / "open_clip_model.safetensors").items()}
    state["logit_scale"] = state["logit_scale"].reshape(())
    if "text_projection.weight" in state:
        state["text_projection"] = state.pop("text_projection.weight").T
        state["text_projection_bias"] = state.pop("text_projection.bias")
    model = CLIP(config).eval()
    model.load_state_dict(state)
    return model, load_file(folder / "expected.safetensors")


@pytest.mark.parametrize("name", ["base", "custom_text", "layerscale", "siglip"])
def test_answers_as_open_clip(shared: Path, name: str) -> None:
    folder = shared / "parity" / "clip"
    fixture = next(
        f for f in json.loads((folder / "index.json").read_text())["fixtures"] if f["id"] == f"open_clip/{name}"
    )
    model, answer = open_clip(folder / "open_clip" / name)
    tolerance = fixture["tolerance"]
    with torch.no_grad():
        images, texts = model.encode_image(answer["pixels"]), model.encode_text(answer["token_ids"])
        logits = model(answer["pixels"], answer["token_ids"])
    torch.testing.assert_close(images, answer["image_features"], atol=tolerance["features"], rtol=0)
    torch.testing.assert_close(texts, answer["text_features"], atol=tolerance["features"], rtol=0)
    torch.testing.assert_close(logits, answer["logits_per_image"], atol=tolerance["logits"], rtol=0)


def test_answers_as_openai(shared: Path) -> None:
    folder = shared / "parity" / "clip"
    answer = load_file(folder / "openai_vit.expected.safetensors")
    config = CLIPConfig(
        embedding=48,
        resolution=32,
        vision=ViTConfig(layers=2, width=64, patch=8),
        text=TextConfig(vocabulary=49408, width=64, layers=2),
    )
    model = CLIP(config).eval()
    # Not by name or order: a published state dict loads as it is.
    model.load_state_dict(torch.load(folder / "openai_vit_state.pt", weights_only=True, map_location="cpu"))
    with torch.no_grad():
        logits = model(answer["pixels"], answer["token_ids"])
    torch.testing.assert_close(logits, answer["logits_per_image"], atol=0.00078, rtol=0)


def rows(*lengths: int, context: int = 12, vocabulary: int = 40) -> Tensor:
    ids = torch.zeros(len(lengths), context, dtype=torch.long)
    for row, length in zip(ids, lengths, strict=True):
        row[:length] = torch.randint(1, vocabulary - 2, (length,))
        row[length - 1] = vocabulary - 1
    return ids


@pytest.mark.parametrize("pool", ["argmax", "eos"])
def test_cutting_to_the_longest_changes_nothing(pool: str) -> None:
    torch.manual_seed(0)
    model = CLIP(dataclasses.replace(TINY, text=dataclasses.replace(TEXT, pool=pool, eos_id=39))).double()
    ids = rows(3, 7, 5)
    torch.testing.assert_close(model.encode_text(ids), model.encode_text(ids, cut=False), atol=1e-14, rtol=0)


def test_unmasked_text_is_never_cut() -> None:
    torch.manual_seed(0)
    model = CLIP(dataclasses.replace(TINY, text=dataclasses.replace(TEXT, causal=False))).double()
    ids = rows(3, 5)
    kept = model.encode_text(ids)
    assert not torch.allclose(kept, model.encode_text(ids[:, :5]))
    assert torch.equal(kept, model.encode_text(ids, cut=False))


def test_what_follows_the_end_does_not_count() -> None:
    torch.manual_seed(0)
    model = CLIP(TINY)
    ids = rows(4, 6)
    other = ids.clone()
    other[0, 8:] = 39  # a second end token: the first of them is the caption's
    torch.testing.assert_close(model.encode_text(other, cut=False), model.encode_text(ids, cut=False))


def test_pooling_at_the_first_end_even_below_added_tokens() -> None:
    torch.manual_seed(0)
    model = CLIP(dataclasses.replace(TINY, text=dataclasses.replace(TEXT, pool="eos", eos_id=30))).eval()
    ids = torch.tensor([[1, 35, 30, 39, 30, 0]])
    torch.testing.assert_close(model.encode_text(ids), model.encode_text(ids[:, :3]))
    none = torch.tensor([[7, 35, 3]])
    torch.testing.assert_close(model.encode_text(none), model.encode_text(none[:, :1]))


def test_patches_need_not_fill_the_picture() -> None:
    torch.manual_seed(0)
    model = CLIP(dataclasses.replace(TINY, resolution=20)).eval()
    assert len(model.visual.positional_embedding) == 5
    pixels = torch.randn(1, 3, 20, 20)
    unseen = pixels.clone()
    unseen[:, :, 16:] = 9.0
    assert torch.equal(model.encode_image(pixels), model.encode_image(unseen))


def test_resnet_halves_five_times_and_pools_by_attention() -> None:
    torch.manual_seed(0)
    model = CLIP(RESNET).eval()
    pixels = torch.randn(2, 3, 64, 64)
    assert model.visual.grid_features(pixels).shape == (2, 128, 2, 2)
    pool = model.visual.attnpool
    x = torch.randn(2, 128, 2, 2)
    got = pool(x)
    # The same by torch's own attention, with the whole sequence as queries, of which the first is kept.
    tokens = x.flatten(2).permute(2, 0, 1)
    tokens = torch.cat([tokens.mean(0, keepdim=True), tokens]) + pool.positional_embedding[:, None]
    expected, _ = F.multi_head_attention_forward(
        tokens, tokens, tokens, 128, pool.heads, None,
        torch.cat([pool.q_proj.bias, pool.k_proj.bias, pool.v_proj.bias]), None, None, False, 0.0,
        pool.c_proj.weight, pool.c_proj.bias, use_separate_proj_weight=True,
        q_proj_weight=pool.q_proj.weight, k_proj_weight=pool.k_proj.weight, v_proj_weight=pool.v_proj.weight,
    )  # fmt: skip
    torch.testing.assert_close(got, expected[0], atol=1e-5, rtol=1e-5)


def test_every_bottleneck_begins_as_its_shortcut() -> None:
    torch.manual_seed(0)
    block = CLIP(RESNET).visual.layer2[0]
    torch.nn.init.zeros_(block.bn3.weight)
    x = torch.randn(2, 16, 8, 8)
    shortcut = block.downsample["1"](block.downsample["0"](F.avg_pool2d(x, 2)))
    torch.testing.assert_close(block(x), F.relu(shortcut))


@pytest.mark.parametrize("config", [TINY, RESNET], ids=["vit", "resnet"])
def test_learns_which_caption_belongs_to_which_picture(config: CLIPConfig) -> None:
    torch.manual_seed(0)
    model = CLIP(config)
    pixels = torch.randn(8, 3, config.resolution, config.resolution)
    ids = rows(*range(3, 11))
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for _ in range(30):
        optimizer.zero_grad()
        total, measures = loss(model, pixels, ids)
        total.backward()
        optimizer.step()
    assert float(total.detach()) < 0.5
    assert float(measures["accuracy"]) == 1.0


def test_normalise_is_the_models_own() -> None:
    grey = torch.tensor(TINY.pixels.mean)[:, None, None].expand(3, 16, 16)
    assert torch.allclose(normalise(grey, TINY), torch.zeros(3, 16, 16), atol=1e-6)
    assert float(normalise(torch.ones(1, 3, 2, 2), TINY)[0, 2, 0, 0]) == pytest.approx((1 - 0.40821073) / 0.27577711)
