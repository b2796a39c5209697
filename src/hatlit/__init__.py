"""hatlit: expand a fleet of learned models to a new domain.

Select the few sources worth asking, fuse their predictions sample by sample, distil a student that fits the device.
"""
