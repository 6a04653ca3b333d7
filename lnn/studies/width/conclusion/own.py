"""What the document does not ask: how much of "wider halts sooner" is the learning rate."""

from __future__ import annotations

import xarray as xr

from lnn.results.verdict import Findings, findings, report
from lnn.studies.width.conclusion.statement import below, reported, statement, system
from lnn.studies.width.selection import select, slope, tuned_rates


@statement(
    id="D17z",
    documents="L",
    source="beside Section 3.2",
    title="Wider networks are faster at their own tuned rate too",
    statement="With the learning rate of every width tuned by the same search, wider networks "
    "reach a common loss in fewer steps.",
    rule="Holds if the 95 % interval of the exponent of the steps to that loss in the number of "
    "parameters lies below 0 at tuned rates. The loss is 1.05 times the least of the narrowest "
    "network; rates are chosen on other seeds. The exponents at one rate for all, and at that rate "
    "scaled by the maximal update parametrization (Yang et al. 2022, Table 3), are reported.",
)
def _tuned(found: xr.Dataset) -> Findings | None:
    setup = system(found, "characters")
    if setup is None or not setup.tuned:
        return None
    fixed = select(found, setup)
    tuned = select(found, setup, rate="tuned")
    scaled = select(found, setup, base=setup.middle_width)
    rates = tuned_rates(found, setup)
    chosen = ", ".join(f"{rates[width]:.3g}" for width in setup.widths)
    exponents = [slope(each.parameters, each.goal) for each in (fixed, tuned, scaled)]
    share = ""
    if exponents[0].high < 0:
        part = 1 - exponents[1].exponent / exponents[0].exponent
        share = f": the rate accounts for {part:.0%} of the exponent"
    halting = [slope(each.parameters, each.steps) for each in (fixed, tuned, scaled)]
    return findings(
        f"Tuned rates are {chosen} from width {setup.widths[0]} to {setup.widths[-1]}. Steps to "
        f"the common loss have exponent {exponents[0]} in the number of parameters at rate "
        f"{setup.rates[0]:g} for all, {exponents[1]} at tuned rates and {exponents[2]} with the "
        f"maximal update parametrization{share}.",
        below("exponent of the steps to the common loss, tuned", exponents[1]),
        report("the same at one rate for all", *reported(exponents[0])),
        report("the same with the maximal update parametrization", *reported(exponents[2])),
        report("exponent of the steps to halt, one rate", *reported(halting[0])),
        report("exponent of the steps to halt, tuned", *reported(halting[1])),
        report("exponent of the steps to halt, maximal update", *reported(halting[2])),
    )


STATEMENTS = (_tuned,)
