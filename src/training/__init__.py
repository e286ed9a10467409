"""Networks with TensorFlow: architectures, optimizers, augmentation, loop, export, transfer.

In: a `Dataset` and the plan of a study. Out: trained models, histories and `.tflite` files.
Notebooks only; imports `classical`, `serving`, `runs`, `data` and `evaluation`.
"""
