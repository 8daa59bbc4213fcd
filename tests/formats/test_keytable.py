"""One table of names, both ways."""

from __future__ import annotations

import pytest
import torch

from limner.errors import ModelError
from limner.formats.huggingface import TABLE as HF
from limner.formats.keytable import SAME, THIRDS, TRANSPOSED, KeyTable, Row
from limner.formats.open_clip import key_table
from limner.formats.openai_clip import TABLE as OPENAI

TABLE = KeyTable(
    "test",
    (
        Row("block.{n}.qkv.{p}", ("layer.{n}.q.{p}", "layer.{n}.k.{p}", "layer.{n}.v.{p}"), THIRDS),
        Row("proj", "head.weight", TRANSPOSED),
        Row("tower.{rest}", "trunk.{rest}", SAME),
    ),
    ignored=("position_ids",),
)


def theirs() -> dict[str, torch.Tensor]:
    tensors = {f"layer.{n}.{x}.{p}": torch.randn(4, *((3,) if p == "weight" else ())) for n in (0, 11) for x in "qkv"
               for p in ("weight", "bias")}  # fmt: skip
    return tensors | {"head.weight": torch.randn(2, 5), "trunk.a.b.c": torch.randn(3), "position_ids": torch.arange(3)}


def test_there_and_back() -> None:
    start = theirs()
    ours = TABLE.to_ours(start, "x")
    assert ours["block.11.qkv.weight"].shape == (12, 3)
    assert ours["proj"].shape == (5, 2)
    assert "position_ids" not in ours
    back = TABLE.to_theirs(ours)
    assert set(back) == set(start) - {"position_ids"}
    assert all(torch.equal(back[name], start[name]) for name in back)
    assert TABLE.their_name("block.3.qkv.bias") == "layer.3.q.bias"
    assert TABLE.their_name("what") == "what"


@pytest.mark.parametrize(
    "name", ["layer.01.q.weight", "layer.x.q.weight", "layer.0.q.scale", "layer.0.q.weight.x", "head"]
)
def test_unknown_names_are_named(name: str) -> None:
    with pytest.raises(ModelError, match=name):
        TABLE.to_ours(theirs() | {name: torch.ones(1)}, "x")


def test_a_part_that_is_missing_or_of_another_shape() -> None:
    tensors = theirs()
    del tensors["layer.0.v.bias"]
    with pytest.raises(ModelError, match=r"layer\.0\.v\.bias beside"):
        TABLE.to_ours(tensors, "x")
    with pytest.raises(ModelError, match=r"layer\.0\.v\.bias: expected .*\(4,\).*got .*\(5,\)"):
        TABLE.to_ours(theirs() | {"layer.0.v.bias": torch.ones(5)}, "x")
    with pytest.raises(ModelError, match="float16"):
        TABLE.to_ours(theirs() | {"layer.0.v.bias": torch.ones(4).half()}, "x")


def test_a_weight_that_the_format_has_no_name_for() -> None:
    with pytest.raises(ModelError, match=r"test: expected .* got other"):
        TABLE.to_theirs({"other": torch.ones(1)})


@pytest.mark.parametrize(
    "table", [HF, OPENAI, key_table(prefix="text.", linear=True), key_table(prefix="", linear=False)]
)
def test_no_two_rows_claim_one_name(table: KeyTable) -> None:
    named = [name for row in table.rows for name in row.names]
    assert len(set(named)) == len(named)
    assert len({row.ours for row in table.rows}) == len(table.rows)
    for row in table.rows:
        places = {"n": "7", "p": "weight", "rest": "x.y"}
        for name in row.names:
            found, _ = table._row(name.format(**places), "x")
            assert found is row, name
