"""The same study in PyTorch: a training loop per run, and all runs batched by hand.

Every contestant starts from the same factors at each call, and returns W_e of its runs.
"""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import numpy as np
from _contestants import Loop, rates

import lnn

INSTALL = "PyTorch is not installed, so its rows are left out: pip install 'lnn[bench]'"


def available() -> bool:
    """Whether PyTorch can be imported."""
    return importlib.util.find_spec("torch") is not None


def loops_of_one_run(problem: lnn.Problem, start: tuple[np.ndarray, ...]) -> dict[str, Loop]:
    """One run at a time: a chain of nn.Linear, as users write it, and with W_e formed first."""
    torch: Any = importlib.import_module("torch")
    x = torch.tensor(np.asarray(problem.x), dtype=torch.float32)
    y = torch.tensor(np.asarray(problem.y), dtype=torch.float32)
    power, rate = int(problem.p), float(rates(1)[0])

    def layers(steps: int) -> np.ndarray:
        each = [torch.nn.Linear(*factor[0].shape[::-1], bias=False) for factor in start]
        model = torch.nn.Sequential(*each)
        with torch.no_grad():
            for layer, factor in zip(each, start, strict=True):
                layer.weight.copy_(torch.tensor(factor[0]))
        optimizer = torch.optim.SGD(model.parameters(), lr=rate)
        for _ in range(steps):
            optimizer.zero_grad()
            loss = (model(x)[:, 0] - y).pow(power).mean() / power
            loss.backward()
            optimizer.step()
        return _end_to_end([layer.weight.detach().numpy()[None] for layer in each])

    def collapsed(steps: int) -> np.ndarray:
        factors = [
            torch.tensor(factor[0], dtype=torch.float32, requires_grad=True) for factor in start
        ]
        optimizer = torch.optim.SGD(factors, lr=rate)
        for _ in range(steps):
            optimizer.zero_grad()
            w = factors[0]
            for factor in factors[1:]:
                w = factor @ w
            loss = (x @ w[0] - y).pow(power).mean() / power
            loss.backward()
            optimizer.step()
        return _end_to_end([factor.detach().numpy()[None] for factor in factors])

    return {"PyTorch loop, layers": layers, "PyTorch loop, collapsed": collapsed}


def batched(problem: lnn.Problem, start: tuple[np.ndarray, ...]) -> dict[str, Loop]:
    """All runs in one matmul with the end-to-end matrices, hidden width 1 (or depth 1).

    By autograd; by hand; and by hand into buffers that are kept, with runs as rows and as columns.
    """
    torch: Any = importlib.import_module("torch")
    x = torch.tensor(np.asarray(problem.x), dtype=torch.float32)
    y = torch.tensor(np.asarray(problem.y), dtype=torch.float32)
    xt = x.T.contiguous()
    m, power, runs = problem.m, int(problem.p), len(start[0])
    rate = torch.tensor(rates(runs), dtype=torch.float32)[:, None]

    def fresh() -> tuple[Any, Any]:
        """The first factors (R, d) and the scalar ones (R, N - 1)."""
        first = torch.tensor(start[0][:, 0], dtype=torch.float32)
        scalars = np.concatenate([f.reshape(runs, 1) for f in start[1:]] or [np.ones((runs, 0))], 1)
        return first, torch.tensor(scalars, dtype=torch.float32)

    others = [[j for j in range(len(start) - 1) if j != i] for i in range(len(start) - 1)]
    scale = rate / m

    def descend(first: Any, scalars: Any, gradient: Any) -> None:
        """A step of every factor, in place, from m dL/dW_e (R, d)."""
        if not others:
            first.addcmul_(gradient, scale, value=-1)
            return
        product = scalars.prod(1, keepdim=True)
        rest = scalars[:, others].prod(2) if len(others) > 1 else torch.ones_like(scalars)
        along = (first * gradient).sum(1, keepdim=True)
        first.addcmul_(gradient, scale * product, value=-1)
        scalars.addcmul_(rest * along, scale, value=-1)

    def result(first: Any, scalars: Any) -> np.ndarray:
        w: np.ndarray = (first * scalars.prod(1, keepdim=True)).detach().numpy()
        return w[:, None]

    def autograd(steps: int) -> np.ndarray:
        first, scalars = (leaf.requires_grad_() for leaf in fresh())
        moving = [first, scalars] if others else [first]
        for _ in range(steps):
            residual = (first * scalars.prod(1, keepdim=True)) @ xt - y
            loss = (residual.pow(power).mean(1) / power).sum()
            gradients = torch.autograd.grad(loss, moving)
            with torch.no_grad():
                for leaf, gradient in zip(moving, gradients, strict=True):
                    leaf.addcmul_(gradient, rate, value=-1)
        return result(first, scalars)

    def by_hand(steps: int) -> np.ndarray:
        first, scalars = fresh()
        for _ in range(steps):
            residual = (first * scalars.prod(1, keepdim=True)) @ xt - y
            descend(first, scalars, residual.pow(power - 1) @ x)
        return result(first, scalars)

    def in_rows(steps: int) -> np.ndarray:
        first, scalars = fresh()
        residual, cube = torch.empty(runs, m), torch.empty(runs, m)
        gradient, labels = torch.empty_like(first), y.expand(runs, m)
        for _ in range(steps):
            w = first * scalars.prod(1, keepdim=True) if others else first
            torch.addmm(labels, w, xt, beta=-1, out=residual)
            torch.mul(residual, residual, out=cube)
            torch.mm(cube.mul_(residual), x, out=gradient)
            descend(first, scalars, gradient)
        return result(first, scalars)

    def in_columns(steps: int) -> np.ndarray:
        first, scalars = fresh()
        residual, cube = torch.empty(m, runs), torch.empty(m, runs)
        gradient, labels = torch.empty(problem.d, runs), y[:, None].expand(m, runs)
        for _ in range(steps):
            w = first * scalars.prod(1, keepdim=True) if others else first
            torch.addmm(labels, x, w.T, beta=-1, out=residual)
            torch.mul(residual, residual, out=cube)
            torch.mm(xt, cube.mul_(residual), out=gradient)
            descend(first, scalars, gradient.T)
        return result(first, scalars)

    return {
        "PyTorch batched, autograd": autograd,
        "PyTorch batched, by hand": by_hand,
        "PyTorch batched, by hand, buffers, rows": in_rows,
        "PyTorch batched, by hand, buffers, columns": in_columns,
    }


def _end_to_end(factors: list[np.ndarray]) -> np.ndarray:
    w = factors[0]
    for factor in factors[1:]:
        w = factor @ w
    return w
