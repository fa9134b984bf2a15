"""The stages from planes to planes as batches of tensors on the device of the networks.

``--gpu-stages`` chooses them. A batch is uploaded once and downloaded once; in between, nothing
waits for the device. Every operator has a twin in the stages for one frame on a CPU, and a test
holds the two together. The code runs on any device of torch, which the tests use.

A result must not depend on the other faces of its batch. So every batch has the same number of
faces, and shapes depend on a face alone: sizes are rounded up (``batching.padded``), and what is
missing repeats the last face.
"""
