"""Encoders of inertial recordings: the families of time series."""

from hatlit.encoders.series import register_series

register_series("imu")
