"""The mathematics of Gaussian mixtures: values and pure functions on arrays.

No input or output, clock, logging, Dask, pandas or scikit-learn lives here: only NumPy, SciPy and Numba.
"""
