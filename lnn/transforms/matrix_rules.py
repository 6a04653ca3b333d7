r"""How each chosen matrix of a network gets the end-to-end rule: four methods.

Matrices are (k, d), or stacks (count, k, d), in their parameter's dtype; they are computed in
float32 or wider. A method updates all its matrices at once, since decompositions are faster one
after the other on CPU and together on accelerators.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp

from lnn.core.linalg import dot
from lnn.core.spectral import (
    Frame,
    precondition_by_polar,
    precondition_in,
    short_frame,
    tracked_frame,
)

Rate = float | jax.Array | Callable[[Any], Any]
"""A learning rate, or a function of the step."""

TOLERANCE, LIMIT = 1e-4, 5e-3
"""Relative residuals of a tracked frame above which it is refined, and W decomposed."""

Matrices = Sequence[jax.Array]
States = tuple[Any, ...]


class MatrixRule(Protocol):
    """A method for some of the matrices."""

    def init(self, ws: Matrices) -> States:
        """Return a state for each."""

    def update(
        self, gs: Matrices, ws: Matrices, states: States, step: jax.Array
    ) -> tuple[list[jax.Array], States]:
        """Return preconditioned gradients, or for `Factors` changes of W, and the states."""


@dataclass(frozen=True)
class Exact:
    """The rule in the frame of a decomposition, made every `refresh_every` steps."""

    depth: float | jax.Array
    refresh_every: int = 1

    def init(self, ws: Matrices) -> States:
        """Return blank frames, where they are kept."""
        if self.refresh_every == 1:
            return ((),) * len(ws)
        return tuple(
            Frame(*(jnp.zeros(part.shape, part.dtype) for part in frame))
            for frame in jax.eval_shape(frames, ws)
        )

    def update(
        self, gs: Matrices, ws: Matrices, states: States, step: jax.Array
    ) -> tuple[list[jax.Array], States]:
        """Precondition in a frame of this step, or the last one made."""
        if self.refresh_every == 1:
            made = frames(ws)
        else:
            old = step % self.refresh_every != 0
            made = jax.lax.cond(old, lambda _: states, frames, ws)
            states = made

        def rule(frame: Frame, g: jax.Array, w: jax.Array) -> jax.Array:
            found = _precondition_in(frame, wide(g), self.depth)
            if self.refresh_every > 1:  # the frame may be older than the overflow
                found = jnp.where(jnp.isfinite(w).all((-2, -1), keepdims=True), found, jnp.nan)
            return rounded(found, g.dtype)

        return list(map(rule, made, gs, ws)), states


@dataclass(frozen=True)
class Tracked:
    """The rule in a frame refined from that of the step before by matrix products.

    Attributes:
        depth: N.
        polar: on accelerators, compute the rule of depth 2 by the polar form. The state is the
            same, so that it may move from one kind of machine to another.
    """

    depth: float | jax.Array
    polar: bool = False

    def init(self, ws: Matrices) -> States:
        """Return blank bases of the small sides, from which the first step decomposes."""
        return tuple(
            jnp.zeros((*w.shape[:-2], min(w.shape[-2:]), min(w.shape[-2:])), wide(w).dtype)
            for w in ws
        )

    def update(
        self, gs: Matrices, ws: Matrices, states: States, step: jax.Array
    ) -> tuple[list[jax.Array], States]:
        """Precondition in refined frames, whose bases are the new states."""
        del step
        out: list[jax.Array] = []
        bases: list[jax.Array] = []
        for g, w, basis in zip(gs, ws, states, strict=True):
            matrix = _after(wide(w), bases[-1:])
            if self.polar:
                update, new = jax.lax.platform_dependent(
                    wide(g), matrix, basis, cpu=self._track, default=_polar
                )
            else:
                update, new = self._track(wide(g), matrix, basis)
            out.append(rounded(update, g.dtype))
            bases.append(new)
        return out, tuple(bases)

    def _track(self, g: jax.Array, w: jax.Array, basis: jax.Array) -> tuple[jax.Array, jax.Array]:
        frame = _each(partial(tracked_frame, tolerance=TOLERANCE, limit=LIMIT), w.ndim)(basis, w)
        return _precondition_in(frame, g, self.depth), frame.u


@dataclass(frozen=True)
class Polar:
    """The rule of depth 2 by the polar form, without a state."""

    def init(self, ws: Matrices) -> States:
        """Return nothing."""
        return ((),) * len(ws)

    def update(
        self, gs: Matrices, ws: Matrices, states: States, step: jax.Array
    ) -> tuple[list[jax.Array], States]:
        """Precondition by matrix products."""
        del step
        pairs = zip(gs, ws, strict=True)
        return [rounded(_polar(wide(g), wide(w), None)[0], g.dtype) for g, w in pairs], states


class FactorState(NamedTuple):
    """Balanced factors of W, or of W^T if that has fewer rows.

    Attributes:
        factors: W_1, ..., W_N.
        ends: the products W_N ... W_(j+1) for j = 1, ..., N - 2, of use in the next step.
        expected: W after the step, for comparison with what the next step receives.
    """

    factors: tuple[jax.Array, ...]
    ends: tuple[jax.Array, ...]
    expected: jax.Array


@dataclass(frozen=True)
class Factors:
    r"""Plain gradient descent on the factors themselves, which are kept in the state.

    $W_j \leftarrow W_j - \eta (W_N \cdots W_{j+1})^T g (W_{j-1} \cdots W_1)^T$ (Arora, Cohen and
    Hazan 2018, proof of Theorem 1), and the update is the change of the product: 3 (N - 1) matrix
    products. It leads from W to the product, so rounding does not accumulate in their difference;
    a matrix that differs by more, as after weight decay or a projection, is decomposed into new
    balanced factors.
    """

    depth: int
    rate: Rate

    def init(self, ws: Matrices) -> States:
        """Decompose every matrix into balanced factors."""
        return tuple(
            FactorState(*balanced(frame, self.depth), jnp.asarray(w))
            for frame, w in zip(frames(ws), ws, strict=True)
        )

    def update(
        self, gs: Matrices, ws: Matrices, states: States, step: jax.Array
    ) -> tuple[list[jax.Array], States]:
        """Step the factors; the update leads from W to their product."""
        rate = self.rate(step) if callable(self.rate) else self.rate
        out: list[jax.Array] = []
        new: list[FactorState] = []
        last: tuple[jax.Array, ...] = ()
        for g, w, state in zip(gs, ws, states, strict=True):
            now, tall = wide(w), w.shape[-2] > w.shape[-1]
            factors, ends = self._current(now, state, last)
            last = factors[-1:]
            short = wide(g).mT if tall else wide(g)
            factors, ends = stepped(factors, ends, short, jnp.asarray(rate, now.dtype))
            product = dot(factors[0].mT, ends[0].mT) if tall else dot(ends[0], factors[0])
            update = rounded(product - now, g.dtype)
            expected = rounded(now + update.astype(now.dtype), w.dtype)
            out.append(update)
            new.append(FactorState(factors, ends[:-1], expected))
        return out, tuple(new)

    def _current(
        self, w: jax.Array, state: FactorState, before: Sequence[jax.Array]
    ) -> tuple[Any, Any]:
        """Return the factors and ends of w: those of the state, unless it was changed since."""
        expected = wide(state.expected)
        # Compiled programs may round W = W + update in other ways.
        rounding = 2 * float(jnp.finfo(state.expected.dtype).eps)
        same = jnp.all(jnp.abs(w - expected) <= rounding * jnp.abs(expected))

        def decomposed(w: jax.Array) -> tuple[Any, Any]:
            # Under `vmap` both branches are computed; on CPU zero matrices then cost nothing.
            (frame,) = frames([jnp.where(same, 0, w)])
            return balanced(frame, self.depth)

        kept = state.factors, state.ends
        return jax.lax.cond(same, lambda _: kept, decomposed, _after(w, before))


def balanced(frame: Frame, depth: int) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
    r"""Return the balanced factors W_2 = ... = W_N = $(W W^T)^{1/(2N)}$, first W_1, and their ends.

    Of all balanced factors, which differ by rotations of the hidden layers, these depend
    continuously on W.
    """
    u, s, vt = frame

    def power(exponent: float) -> jax.Array:
        return dot(u * (s**exponent)[..., None, :], u.mT)

    first = dot(u * (s ** (1 / depth))[..., None, :], vt)
    factors = (first, *[power(1 / depth)] * (depth - 1))
    return factors, tuple(power((depth - j) / depth) for j in range(1, depth - 1))


def stepped(
    factors: tuple[jax.Array, ...], ends: tuple[jax.Array, ...], g: jax.Array, rate: jax.Array
) -> tuple[tuple[jax.Array, ...], tuple[jax.Array, ...]]:
    """Return the factors after a step, and their W_N ... W_(j+1) for j = 1, ..., N - 1."""
    moved = []
    pulled = g  # g (W_(j-1) ... W_1)^T
    for factor, end in zip(factors[:-1], (*ends, factors[-1]), strict=True):
        moved.append(factor - rate * dot(end.mT, pulled))
        pulled = dot(pulled, factor.mT)
    moved.append(factors[-1] - rate * pulled)
    products = [moved[-1]]
    for factor in moved[-2:0:-1]:
        products.append(dot(products[-1], factor))
    return tuple(moved), tuple(products[::-1])


def frames(ws: Matrices) -> tuple[Frame, ...]:
    """Return their frames: on CPU one after the other, elsewhere those of equal shapes together."""
    matrices = [wide(w) for w in ws]
    shapes = {_short_shape(w) for w in matrices}
    if len(shapes) == len(matrices):
        return _in_turn(*matrices)
    return jax.lax.platform_dependent(*matrices, cpu=_in_turn, default=_together)


def _in_turn(*ws: jax.Array) -> tuple[Frame, ...]:
    made: list[Frame] = []
    for w in ws:
        # Concurrent decompositions slow each other down.
        made.append(_each(short_frame, w.ndim)(_after(w, [frame.s for frame in made[-1:]])))
    return tuple(made)


def _together(*ws: jax.Array) -> tuple[Frame, ...]:
    made: dict[int, Frame] = {}
    for shape in {_short_shape(w) for w in ws}:
        members = [i for i, w in enumerate(ws) if _short_shape(w) == shape]
        short = [ws[i] if ws[i].shape[-2] <= ws[i].shape[-1] else ws[i].mT for i in members]
        stacks = [w.reshape(-1, *w.shape[-2:]) for w in short]
        found = jax.vmap(short_frame)(jnp.concatenate(stacks))
        start = 0
        for i, w, stack in zip(members, short, stacks, strict=True):
            part = jax.tree.map(lambda a: a[start : start + len(stack)], found)  # noqa: B023
            made[i] = jax.tree.map(lambda a: a.reshape(*w.shape[:-2], *a.shape[1:]), part)  # noqa: B023
            start += len(stack)
    return tuple(made[i] for i in range(len(ws)))


def _short_shape(w: jax.Array) -> tuple[Any, ...]:
    return (*sorted(w.shape[-2:]), w.dtype)


def _after(w: jax.Array, done: Sequence[jax.Array]) -> jax.Array:
    """Return w, available only when the arrays of an earlier decomposition are."""
    return jax.lax.optimization_barrier((w, *done))[0] if done else w


def _precondition_in(frame: Frame, g: jax.Array, depth: float | jax.Array) -> jax.Array:
    return _each(partial(precondition_in, depth=depth), g.ndim)(frame, g)


def _polar(g: jax.Array, w: jax.Array, basis: Any) -> tuple[jax.Array, Any]:
    return _each(precondition_by_polar, w.ndim)(w, g), basis


def _each(function: Callable[..., Any], ndim: int) -> Callable[..., Any]:
    """Return it for a matrix, or for each of a stack of matrices, of three axes."""
    return function if ndim == 2 else jax.vmap(function)


def wide(a: jax.Array) -> jax.Array:
    """Return it in float32 or wider, as decompositions need it."""
    return a.astype(jnp.float32) if a.dtype.itemsize < 4 else a


def rounded(a: jax.Array, dtype: Any) -> jax.Array:
    """Return it in this dtype; XLA may not carry on with the digits that are rounded off."""
    if a.dtype == dtype:
        return a
    kind = jnp.finfo(dtype)
    return jax.lax.reduce_precision(a, kind.nexp, kind.nmant).astype(dtype)
