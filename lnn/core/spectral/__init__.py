r"""The singular frame of W, and the preconditioner of the end-to-end rule in it.

Depth-N linear networks under gradient descent precondition the gradient g of L at W (k, d) to

$$P_W g = \sum_{j=1}^N [W W^T]^{(j-1)/N} g [W^T W]^{(N-j)/N}$$

(Arora, Cohen and Hazan 2018, Theorem 1 and eq. 10). In the singular frame of W = U diag(s) V^T the
entry (r, q) of U^T g V is multiplied by

$$\sum_j s_r^{2(j-1)/N} s_q^{2(N-j)/N} = \frac{a - b}{a^{1/N} - b^{1/N}}, a = s_r^2, b = s_q^2$$

(Claim 1), so the cost does not grow with N and N may be any real number >= 1. Powers are those of
positive semidefinite matrices with 0^0 = 1. The rule is linear in g and may be differentiated in
it; in W only for one row or column, since derivatives of singular vectors do not exist at repeated
singular values: `ValueError`.
"""

from __future__ import annotations

from lnn.core.spectral.analysis import preconditioner_eigenpairs as preconditioner_eigenpairs
from lnn.core.spectral.analysis import preconditioner_matrix as preconditioner_matrix
from lnn.core.spectral.analysis import psd_power as psd_power
from lnn.core.spectral.frames import Frame as Frame
from lnn.core.spectral.frames import row_direction as row_direction
from lnn.core.spectral.frames import short_frame as short_frame
from lnn.core.spectral.frames import singular_frame as singular_frame
from lnn.core.spectral.polar import precondition_by_polar as precondition_by_polar
from lnn.core.spectral.rule import precondition as precondition
from lnn.core.spectral.rule import precondition_in as precondition_in
from lnn.core.spectral.sweeps import singular_value_cutoff as singular_value_cutoff
from lnn.core.spectral.tracking import tracked_frame as tracked_frame
