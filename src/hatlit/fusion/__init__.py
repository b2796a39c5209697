"""Frozen sources and the mixer that weighs them sample by sample."""
