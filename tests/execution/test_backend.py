from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import jax
import jax.numpy as jnp
import platformdirs
import pytest
from jax.experimental.compilation_cache import compilation_cache

from lnn.execution import backend

SETTINGS = (
    "jax_enable_compilation_cache",
    "jax_compilation_cache_dir",
    "jax_persistent_cache_min_compile_time_secs",
)


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A cache folder of its own, JAX's cache allowed, all settings put back."""
    before = {name: getattr(jax.config, name) for name in SETTINGS}
    monkeypatch.setattr(platformdirs, "user_cache_path", lambda name: tmp_path / name)
    jax.config.update("jax_enable_compilation_cache", True)
    jax.config.update("jax_compilation_cache_dir", None)
    yield tmp_path
    for name, value in before.items():
        jax.config.update(name, value)


def test_programs_are_kept_in_the_users_cache_folder(home: Path) -> None:
    backend.start()
    folder = Path(jax.config.jax_compilation_cache_dir)
    assert folder.is_dir()
    assert folder.parent == home / "lnn" / "programs"


def test_a_folder_that_the_user_has_chosen_stays(home: Path) -> None:
    jax.config.update("jax_compilation_cache_dir", str(home / "mine"))
    backend.start()
    assert jax.config.jax_compilation_cache_dir == str(home / "mine")


def test_a_cache_that_the_user_has_switched_off_stays_off(home: Path) -> None:
    jax.config.update("jax_enable_compilation_cache", False)
    backend.start()
    assert jax.config.jax_compilation_cache_dir is None
    assert not any(home.iterdir())


def test_without_a_folder_to_write_to_nothing_is_kept(home: Path) -> None:
    (home / "lnn").write_text("a file where the folder should be")
    backend.start()
    assert jax.config.jax_compilation_cache_dir is None


@pytest.mark.parametrize("silent", [False, True], ids=["parent", "worker"])
def test_half_a_program_in_the_cache_is_compiled_again_silently(home: Path, silent: bool) -> None:
    backend.start(silent)
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)
    compilation_cache.reset_cache()  # JAX keeps the folder that it saw first

    def compiled() -> float:
        jax.clear_caches()
        return float(jax.jit(lambda x: jnp.sin(x) * 3.25)(jnp.float32(1)))

    whole = compiled()
    programs = list((home / "lnn" / "programs").rglob("*-cache"))
    assert programs
    for program in programs:
        program.write_bytes(program.read_bytes()[:40])
    assert compiled() == whole
    compilation_cache.reset_cache()


def test_compiling_is_timed() -> None:
    before = backend.compile_seconds()
    jax.jit(lambda x: jnp.cos(x) + 17.25)(jnp.ones(3)).block_until_ready()
    between = backend.compile_seconds()
    assert between > before
    jnp.ones(3).block_until_ready()
    assert backend.compile_seconds() >= between


@pytest.mark.slow
def test_a_second_call_finds_the_programs_and_gives_the_same_bits(tmp_path: Path) -> None:
    """The command, in processes of its own: also that importing and running warn of nothing."""
    kept = tmp_path / "kept"
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("JAX_", "XLA_"))}
    environment |= {
        "JAX_COMPILATION_CACHE_DIR": str(kept),
        "JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0",
        "JAX_PLATFORMS": "cpu",
    }
    programs = []
    for name in ("cold", "warm"):
        command = [
            sys.executable, "-W", "error", "-m", "lnn.compare", "--data", "two-point", "--quick",
            "--methods", "gd", "adam", "end-to-end", "--out", str(tmp_path), "--name", name,
        ]  # fmt: skip
        done = subprocess.run(
            command, env=environment, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        assert done.stderr == ""
        assert "s compiling)" in done.stdout
        programs.append({path.name for path in kept.iterdir() if not path.name.endswith("atime")})
    assert programs[0]
    assert programs[1] == programs[0]
    cold, warm = tmp_path / "cold", tmp_path / "warm"
    assert (cold / "trajectories.nc").read_bytes() == (warm / "trajectories.nc").read_bytes()
    timings = json.loads((warm / "manifest.json").read_text())["timings"]
    assert set(timings) == {
        f"{part}_seconds" for part in ("import", "data", "run", "compile", "report")
    }
    assert all(seconds >= 0 for seconds in timings.values())
