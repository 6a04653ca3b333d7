"""Every bad option: one line that says what was received, what is allowed and what to do."""

from __future__ import annotations

import math

import numpy as np
import pytest

from lnn.studies.compare.config import StudyConfig
from lnn.transforms.catalogue import DEFAULT_METHODS, LAYERWISE


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depths": (0.5,)}, r"depth = 0\.5: a network has depth 1 or more"),
        ({"depths": (math.nan,)}, "depth = nan"),
        ({"depths": ()}, "no method or no depth"),
        ({"methods": ()}, "no method or no depth"),
        ({"methods": ("sgd",)}, "method 'sgd' is unknown: choose from gd, momentum"),
        ({"depths": 1.5, "methods": ("layerwise-gd",)}, "layerwise-gd at depth 1.5: .* whole"),
        ({"depths": 1e9, "methods": "gd", "init": "identity"}, "identity at depth 1e.09: real"),
        ({"depths": 1.5, "init": "near-zero"}, "init = 'near-zero' initializes real layers"),
        ({"init": "zero"}, "init = 'zero': choose one of balanced, near-zero, identity"),
        ({"init_norm": 0.0}, r"init_norm = 0\.0: give a positive number"),
        ({"init_norm": math.inf}, "init_norm = inf"),
        ({"hidden": (0,)}, r"width = \[0\]: give whole numbers, at least 1"),
        ({"hidden": (2, 3), "depths": 4}, "depth 4 has 3 hidden layers; give that many widths"),
        ({"steps": 0}, "steps = 0: give a whole number, 1 to 2147483647"),
        ({"steps": 10.5}, r"steps = 10\.5: give a whole number"),
        ({"steps": 2**31}, "steps = 2147483648: give a whole number, 1 to"),
        ({"seeds": 0}, "seeds = 0"),
        ({"tuning_seeds": True}, "tuning_seeds = True"),
        ({"rates": 3}, "rates = 3: a count of learning rates must be at least 4"),
        ({"rates": (0.1, -0.1)}, "learning rate -0.1: give positive numbers"),
        ({"rates": (0.1, 0.0)}, "learning rate 0.0: give positive numbers"),
        ({"rates": (math.inf,)}, "learning rate inf"),
        ({"rates": ()}, "list is empty"),
        ({"rates": (0.1, 0.1)}, "give each rate once"),
        ({"rate_range": (1.0, 0.1)}, "rate_range = 1 0.1: give two positive numbers"),
        ({"rate_range": (0.0, 0.1)}, "rate_range = 0 0.1"),
        ({"targets": (1.0,)}, "targets = .* lie between 0 and 1"),
        ({"targets": ()}, "targets = .* lie between 0 and 1"),
        ({"targets": (0.1, 0.1)}, "give each target once"),
        ({"weight_decay": -1.0}, r"weight_decay = -1\.0: give a number >= 0"),
        ({"dtype": "bfloat16"}, "dtype = 'bfloat16': choose one of float32, float64"),
    ],
)
def test_bad_option_is_explained_in_one_line(options: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        StudyConfig(**options)
    assert "\n" not in str(caught.value)


def test_single_values_and_lists_are_one_thing() -> None:
    config = StudyConfig(depths=2, methods="gd", hidden=3, targets=[0.01, 0.1], rates=[1, 0.1])
    assert config.depths == (2.0,)
    assert config.methods == ("gd",)
    assert config.hidden == (3,)
    assert config.targets == (0.1, 0.01)
    assert config.rates == (0.1, 1.0)


def test_numpy_numbers_and_arrays_mean_what_they_say() -> None:
    config = StudyConfig(
        depths=np.arange(2, 4), rates=np.int64(8), targets=np.array([0.3, 0.1]), steps=np.int32(7)
    )
    assert config.depths == (2.0, 3.0)
    assert config.rates == 8
    assert config.targets == (0.3, 0.1)
    assert config.steps == 7
    assert StudyConfig(depths=np.int64(2)).depths == (2.0,)
    assert StudyConfig(rates=np.array([1.0, 0.1])).rates == (0.1, 1.0)


def test_a_list_of_widths_leaves_single_layers_single() -> None:
    assert StudyConfig(hidden=(3, 3), depths=3).hidden_widths(1, 3, 6) == ()


def test_default_methods_leave_real_layers_out_where_no_depth_has_them() -> None:
    assert StudyConfig(depths=(1.5, math.inf)).methods == tuple(
        method for method in DEFAULT_METHODS if method not in LAYERWISE
    )
    with pytest.raises(ValueError, match=r"layerwise-gd at depth 1\.5: .* needs a whole depth"):
        StudyConfig(depths=1.5, methods=DEFAULT_METHODS)


def test_default_stands_for_the_default_methods_among_others() -> None:
    assert StudyConfig().methods == DEFAULT_METHODS
    assert StudyConfig(methods=["projection", "default", "gd"]).methods == (
        "projection", *DEFAULT_METHODS
    )  # fmt: skip


def test_hidden_widths_and_rank_of_the_start() -> None:
    assert StudyConfig().hidden_widths(4, 1, 128) == (1, 1, 1)
    assert StudyConfig().hidden_widths(3, 6, 128) == (6, 6)
    assert StudyConfig(hidden=2, depths=3).hidden_widths(3, 6, 128) == (2, 2)
    assert StudyConfig(hidden=(5, 2), depths=3).hidden_widths(3, 6, 128) == (5, 2)
    assert StudyConfig(hidden=(5, 2), depths=3).start_rank(6, 128) == 2
    assert StudyConfig().start_rank(6, 4) == 4
