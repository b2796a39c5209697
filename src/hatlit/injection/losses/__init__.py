"""Losses of the student: one file each."""
