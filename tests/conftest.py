"""What every test stands on: two CPU devices, no display, repeatable property tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

os.environ["MPLBACKEND"] = "Agg"
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # as in the background of a shell
    signal.signal(signal.SIGINT, signal.default_int_handler)
os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"  # nothing is left in the user's folders

import hypothesis
import jax
import pytest

from lnn.core.precision import REQUIRED

# Before the first array: both are read when the backend starts.
jax.config.update("jax_platforms", os.environ.get("JAX_PLATFORMS", "cpu"))
jax.config.update("jax_num_cpu_devices", 2)

hypothesis.settings.register_profile(
    "lnn",
    deadline=None,
    derandomize=True,
    database=None,
    max_examples=25,
    suppress_health_check=[
        hypothesis.HealthCheck.function_scoped_fixture,
        hypothesis.HealthCheck.too_slow,
    ],
)
hypothesis.settings.load_profile("lnn")


TESTS = Path(__file__).resolve().parent

ONCE = (
    *("claims/report/", "claims/test_claim", "claims/test_errata", "claims/test_record"),
    *("claims/test_run", "claims/test_texts", "results/", "studies/compare/report/"),
    *("studies/compare/test_bad_input", "studies/compare/test_conclusion"),
    *("datasets/test_download", "datasets/test_gas_", "datasets/test_hostile_files"),
    *("datasets/test_mnist", "execution/test_journal", "execution/test_workspace"),
    *("studies/mnist/test_study", "studies/mnist/test_summary", "studies/phase/test_study"),
    *("studies/width/conclusion/", "studies/width/test_command", "studies/width/test_config"),
    *("studies/width/test_figures", "studies/width/test_study", "studies/width/test_summary"),
    *("test_house", "test_mirror"),
)
"""Tests of files, words and what is kept: the versions of Python and JAX have no part in them."""


PROGRAMS = (
    *("claims/test_acceleration", "claims/test_command", "claims/test_expansions"),
    *("claims/test_rates", "claims/test_width", "datasets/test_hostile_files"),
    *("execution/test_backend", "execution/test_distributed", "execution/test_workspace"),
    *("studies/compare/test_bad_input", "studies/compare/test_command"),
    *("studies/compare/test_data", "studies/mnist/test_", "studies/phase/test_study"),
    "studies/width/test_command",
)
"""Tests that run our programs in their own process: programs set the settings of JAX they need."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        mutation = "what_breaks_it_is_noticed" in item.name or "mutation_is_caught" in item.name
        if item.path.relative_to(TESTS).as_posix().startswith(ONCE) or mutation:
            item.add_marker(pytest.mark.once)


@pytest.fixture(autouse=True)
def settings_stay(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that leaves other settings of JAX to those after it than it found."""
    if request.path.relative_to(TESTS).as_posix().startswith(PROGRAMS):
        request.getfixturevalue("standard_promotion")
    before = {name: getattr(jax.config, name) for name in REQUIRED}
    yield
    after = {name: getattr(jax.config, name) for name in REQUIRED}
    for name in REQUIRED:
        if after[name] != before[name]:
            jax.config.update(name, before[name])
    assert after == before


@pytest.fixture
def standard_promotion() -> Iterator[None]:
    """JAX's standard promotion, for programs, which set it, and for tests in which optax converts.

    CI also runs the tests where JAX converts nothing.
    """
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        yield


@pytest.fixture
def x64() -> Iterator[None]:
    before = jax.config.read("jax_enable_x64")
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


@pytest.fixture
def two_devices() -> None:
    """For tests that spread work over devices: with one GPU there is nothing to spread over."""
    if jax.local_device_count() < 2:
        pytest.skip("needs two devices: run it with JAX_PLATFORMS=cpu")


@pytest.fixture(scope="session")
def shared_data() -> Path:
    default = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("LNN_SHARED_DATA", default))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder}; LNN_SHARED_DATA names another folder")
    return folder
