"""Encoders of skeletons over time: the families of time series."""

from hatlit.encoders.series import register_series

register_series("skeleton")
