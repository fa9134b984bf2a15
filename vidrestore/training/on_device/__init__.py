"""Trains a restorer on one GPU, which keeps the faces, degrades them and computes the losses.

The restorer is ``lite`` or ``prior`` (``networks``).

``run.train_on_device`` trains one stage after another within a number of minutes. A step does not
synchronize: the host reads values from the device only for the log. The code also runs on a CPU,
which the tests use.
"""
