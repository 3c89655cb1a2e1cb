"""Tests; they mirror src, and scripts, container and tutorial."""
