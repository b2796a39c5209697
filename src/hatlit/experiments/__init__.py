"""Whole runs: what the command line does."""
