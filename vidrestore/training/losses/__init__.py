"""Losses: functions of tensors that return scalars."""
