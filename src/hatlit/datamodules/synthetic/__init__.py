"""Domains that need no files: a simulated fleet for each modality, one module each."""
