"""Tests; they mirror src, and scripts, container and tutorial."""

from pathlib import Path

REPOSITORY = Path(__file__).parent.parent
