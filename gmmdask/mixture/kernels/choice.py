"""Which kernel a pass takes. Shapes alone decide, never a clock, or the bits would change from run to run."""

from __future__ import annotations

from gmmdask.mixture.kernels.tiles import packed_size

FUSED_COMPONENTS = 64
ALWAYS_FUSED_COMPONENTS = 8
LARGEST_FUSED = 2**17


def use_fused(n_features: int, n_components: int, only_full: bool) -> bool:
    """Return whether the fused kernel is the faster one for a stack of so many components in all.

    Measured in nanoseconds per row and component (AVX-512, other work on the machine; fused / two products): 16 features
    and 8 components 20 / 47, 32 components 18 / 24, 64 components 17 / 20, 256 components 16 / 16. The two meet near 64
    components where the number of features is a multiple of four (4 to 12 features: later). Padding moves that down,
    roughly with the cube of the useful share: 5 and 9 features draw or win with 8 components and lose with 16. With 8
    components the fused kernel won or drew at all thirteen numbers of features tried, 1 to 96. `LARGEST_FUSED` is a
    precaution, not a measurement: it bounds the memory of the sums, which take eight lanes each, to 8 MB.
    """
    padded = packed_size(n_features)
    useful = n_features * (n_features + 3) / (2 * padded)
    limit = max(FUSED_COMPONENTS * useful**3, ALWAYS_FUSED_COMPONENTS)
    return only_full and n_components <= limit and n_components * padded <= LARGEST_FUSED
