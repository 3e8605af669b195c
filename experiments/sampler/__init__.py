"""The sampler in a pipeline of scikit-learn."""
