"""The inbox in a notebook, as far as it needs no browser."""
