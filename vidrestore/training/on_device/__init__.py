"""Training of the embedded restorer on one accelerator: faces, degradations and losses on it.

``run.train_on_device`` trains stage after stage within a number of minutes. A step asks the device
for nothing: the host only reads numbers when it logs. The same code runs on a CPU, which is how it
is tested.
"""
