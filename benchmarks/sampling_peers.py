"""The peers of ``sampling.py``: GPT-2 of the same sizes in transformers and, from its weights, in CTranslate2."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable
from pathlib import Path

LAYERS, WIDTH, HEADS, TEXT, GRID = 8, 384, 6, 64, 16
TEXT_VOCABULARY, IMAGE_VOCABULARY = 8192, 2048
TOKENS = GRID * GRID

Draw = Callable[[int], None]
"""Draws a batch of so many."""


def gpt2_model():  # type: ignore[no-untyped-def]
    from transformers import GPT2Config, GPT2LMHeadModel

    config = GPT2Config(
        n_layer=LAYERS, n_embd=WIDTH, n_head=HEADS, n_positions=TEXT + TOKENS,
        vocab_size=TEXT_VOCABULARY + IMAGE_VOCABULARY, bos_token_id=None, eos_token_id=None,
    )  # fmt: skip
    return GPT2LMHeadModel(config).eval()


def gpt2(threads: int) -> Draw:
    import torch

    model = gpt2_model()

    def draw(batch: int) -> None:
        ids = torch.randint(0, TEXT_VOCABULARY, (batch, TEXT))
        drawn = model.generate(
            ids, attention_mask=torch.ones_like(ids), max_new_tokens=TOKENS, do_sample=True, top_k=0, pad_token_id=0
        )
        assert drawn.shape == (batch, TEXT + TOKENS)

    return draw


def ctranslate2_int8(threads: int) -> Draw:
    import ctranslate2

    words = [f"t{i}" for i in range(TEXT_VOCABULARY + IMAGE_VOCABULARY)]
    with tempfile.TemporaryDirectory() as folder:
        source, made = Path(folder) / "source", Path(folder) / "made"
        gpt2_model().save_pretrained(source)
        vocabulary = {word: i for i, word in enumerate([*words[:-1], "<|endoftext|>"])}
        (source / "vocab.json").write_text(json.dumps(vocabulary))
        (source / "merges.txt").write_text("#version: 0.2\n")
        (source / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "GPT2Tokenizer"}))
        ctranslate2.converters.TransformersConverter(str(source)).convert(str(made), quantization="int8")
        generator = ctranslate2.Generator(str(made), compute_type="int8", intra_threads=threads, inter_threads=1)

    def draw(batch: int) -> None:
        results = generator.generate_batch(
            [words[:TEXT]] * batch,
            max_length=TOKENS,
            min_length=TOKENS,
            sampling_topk=0,
            include_prompt_in_result=False,
        )
        assert all(len(result.sequences_ids[0]) == TOKENS for result in results)

    return draw
