"""Hundreds of games, players by the dozen, and all that can go wrong meanwhile."""
