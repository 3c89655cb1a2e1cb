"""The code that the tests of the worked examples run."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

# pytest loads this before it knows where AiiDA's folder is, so nothing here imports it.
if TYPE_CHECKING:
    from aiida.orm import AbstractCode


@pytest.fixture
def code(daemon: None) -> AbstractCode:
    """Return the code of the examples."""
    from aiida_humanintheloop.workflows.lattice_energy import python_on

    return python_on("localhost")
