"""What ``limner plan`` tells before a run is what the run takes."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

from limner.device import working_precision
from limner.errors import InputError, RecipeError
from limner.models.modelfolder import classes
from limner.training.footprint import _operations, _traced, footprints, operations, sizes, step
from limner.training.phases import Held, Phase, Phases, deeper, depths, most
from limner.training.plan import parse_bytes, plan
from limner.training.recipe import load_recipe

UPDATES = """
import sys, torch
from limner.device import autocast
from limner.models.modelfolder import classes
from limner.training import parallel
from limner.training.footprint import step
from limner.training.optimizer import Average, Optimizer
from limner.training.recipe import load_recipe

torch.set_num_threads(1)
recipe, recompute = load_recipe(sys.argv[1], {"precision": f'"{sys.argv[3]}"'}), sys.argv[2] == "True"

def updates(batch):
    model = classes(recipe.kind)[1](recipe.model).train().to(memory_format=torch.channels_last)
    if recompute:
        parallel.recompute_blocks(model)
    optimizer, average = Optimizer(model, recipe.training), Average(model, recipe.training.ema_decay)
    loss = step(recipe, batch)
    for number in range(2):
        with autocast(torch.device("cpu"), recipe.training.precision):
            value = loss(model)
        value.backward()
        optimizer.step(1.0)
        optimizer.zero_grad()
        average.update(number + 1)

def status(field):
    return next(1024 * int(line.split()[1]) for line in open("/proc/self/status") if line.startswith(field))

updates(2)  # libraries are loaded and kernels made
before = status("VmRSS")
open("/proc/self/clear_refs", "w").write("5")  # the peak counts from here
updates(recipe.training.batch)
print(status("VmHWM") - before)
"""


@pytest.mark.slow
@pytest.mark.skipif(not os.path.exists("/proc/self/clear_refs"), reason="the system tells no peak that can be reset")
@pytest.mark.parametrize("name", ["dvae_storybook", "dalle_storybook", "clip_storybook"])
def test_the_predicted_peak_is_the_measured_one(name: str) -> None:
    """Within 20 %. What glibc keeps of freed memory would be counted too: it is told to give all back."""
    plain = os.environ | {"MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"}
    precision = working_precision(torch.device("cpu"), "bf16")
    command = [sys.executable, "-c", UPDATES, name, "False", precision]
    measured = int(subprocess.run(command, env=plain, check=True, capture_output=True, timeout=300).stdout)
    predicted = plan(load_recipe(name, {"precision": f'"{precision}"'}))["devices"][0]["peak"]
    assert predicted == pytest.approx(measured, rel=0.2)


@pytest.mark.parametrize("name", ["dvae_debug", "dalle_debug", "clip_debug"])
def test_a_large_batch_is_reckoned_from_small_ones(name: str) -> None:
    recipe = load_recipe(name)
    for recompute in (False, True):
        reckoned, traced = footprints(recipe)(48, recompute), _traced(recipe, 48, recompute, False)
        assert reckoned.activations == pytest.approx(traced.activations, rel=0.03)


@pytest.mark.parametrize(
    ("gathered", "recompute"),
    [
        (False, True),
        *(pytest.param(*case, marks=pytest.mark.slow) for case in ((False, False), (True, False), (True, True))),
    ],
)
def test_a_deep_model_is_reckoned_from_shallow_ones(gathered: bool, recompute: bool) -> None:
    """Of the paper's patterns; with recomputation other moments hold the most as layers are added."""
    narrow = {"width": "64", "heads": "2", "rows": "8", "columns": "8", "text_length": "16", "layers": "13"}
    narrow |= {"text_vocabulary": "200", "image_vocabulary": "100"}
    recipe = load_recipe("dalle_12b", {f"model.{name}": value for name, value in narrow.items()})
    reckoned, traced = footprints(recipe, gathered)(4, recompute), _traced(recipe, 4, recompute, gathered)
    assert depths(recipe.model.pattern_names, 4) == (5, 9)
    assert reckoned.activations == pytest.approx(traced.activations, rel=0.03)
    assert reckoned.together == pytest.approx(traced.together, rel=0.03)
    assert operations("dalle", recipe.model) == _operations("dalle", recipe.model)


def test_moments_near_the_input_and_near_the_loss_grow_each_by_their_own() -> None:
    def phases(layers: int) -> Phases:
        """Each block keeps 3 bytes and has 5 of gradients; recomputing one takes 20."""
        found = {Phase("start"): Held(1, 1), Phase("loss"): Held(7 + 3 * layers, 7 + 3 * layers)}
        for block in range(layers):
            kept, gradients = 3 * (block + 1), 5 * (layers - block)
            found[Phase("forward", block)] = found[Phase("after", block)] = Held(kept, kept)
            found[Phase("backward", block)] = Held(kept + 20 + gradients, kept + 20)
        return found | {Phase("end"): Held(5 * layers + 2, 2)}

    assert depths("abaabaz", 3) is None  # as deep as the larger of the two would be
    assert depths("abaabaabaabaz", 3) == (4, 7)
    reckoned = deeper(phases(4), phases(7), 4, 3, 13)
    assert most(reckoned) == most(phases(13))
    assert most(reckoned).together > most(phases(7)).together + 3 * 6


def test_recomputing_keeps_less() -> None:
    recipe = load_recipe("dalle_debug")
    kept, again = (footprints(recipe)(8, recompute).activations for recompute in (False, True))
    assert again < 0.6 * kept


def test_sizes_follow_the_optimiser_and_frozen_parts() -> None:
    adam, muon = (sizes(load_recipe("dalle_debug", {"optimizer": f'"{name}"'})) for name in ("adamw", "muon"))
    assert adam.moments == 2 * adam.gradients == 8 * adam.parameters
    assert adam.gradients < muon.moments < adam.moments
    frozen = sizes(load_recipe("dalle_debug", {"freeze": '["blocks"]'}))
    assert frozen.gradients < adam.gradients
    assert frozen.weights == adam.weights


@pytest.mark.slow
def test_more_devices_hold_less_each_and_a_small_memory_takes_smaller_parts() -> None:
    recipe = load_recipe("dalle_debug", {"batch": "32"})
    two, eight = (plan(recipe, gpus=n) for n in (2, 8))
    assert eight["devices"][0]["states"] * 4 == pytest.approx(two["devices"][0]["states"], rel=0.01)
    assert eight["days"] * 4 == pytest.approx(two["days"])
    assert [d["pictures"] for d in two["devices"]] == [16, 16]
    memory = int(0.6 * two["devices"][0]["peak"])
    tight = plan(recipe, gpus=2, memory=memory)["devices"]
    assert tight[0]["pictures"] < 16
    assert tight[0]["pictures"] <= tight[1]["pictures"]
    assert all(d["peak"] <= memory and d["pictures"] * d["parts_of_a_batch"] == 16 for d in tight)
    assert plan(recipe, gpus=2, memory=1000)["devices"] == []


def test_odd_questions_are_refused() -> None:
    with pytest.raises(RecipeError, match=r"divides training\.batch = 16"):
        plan(load_recipe("dalle_debug"), gpus=3)
    with pytest.raises(InputError, match="80GB"):
        parse_bytes("much")
    assert parse_bytes("80GB") == 80 * 10**9
    assert parse_bytes("1.5 GiB") == 1.5 * 2**30


def test_a_prediction_leaves_nothing_behind() -> None:
    """What tracing makes has no data; were it kept, the next real run in this process would have none either."""
    recipe = load_recipe("dalle_debug")
    for _ in range(2):
        before = _traced(recipe, 2, False, False)
        value = step(recipe, 2)(classes(recipe.kind)[1](recipe.model))
        assert value.item() > 0
        assert _traced(recipe, 2, False, False) == before
