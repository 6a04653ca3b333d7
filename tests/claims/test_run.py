"""The order in which claims run, and the key of their results."""

from __future__ import annotations

from lnn.claims import all_claims
from lnn.claims.run import SHARED, key_of, units


def test_the_longest_units_go_first_and_shared_runs_together() -> None:
    found = units(all_claims(), {"A1": 1000.0})
    assert found[0] == ("A1",)
    assert all(shared in found for shared in SHARED)
    assert sorted(i for unit in found for i in unit) == sorted(all_claims())


def test_the_key_tells_settings_versions_and_code_apart() -> None:
    some = [all_claims()["A1"]]
    base = key_of(some, True, "data", {"jax": "1"})
    assert base == key_of(some, True, "data", {"jax": "1"})
    others = {key_of(some, False, "data", {"jax": "1"}), key_of(some, True, "x", {"jax": "1"}),
              key_of(some, True, "data", {"jax": "2"})}  # fmt: skip
    assert len(others | {base}) == 4
