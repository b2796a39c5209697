"""The target domain: its rows, and the batches they are dealt in."""
