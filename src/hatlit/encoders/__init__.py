"""Feature extractors: one file a modality."""
