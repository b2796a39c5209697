"""Which sources are worth asking."""
