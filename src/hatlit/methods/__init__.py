"""Ways to turn sources and target data into a student: one file each."""
