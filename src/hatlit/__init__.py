"""hatlit."""
