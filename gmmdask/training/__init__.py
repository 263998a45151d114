"""Fitting: pass 0, the reservoir, starts, EM over an engine, and the search over a grid.

Returns values; nothing is written or published from here.
"""
