"""Immutable bundles of arrays and JSON on any filesystem.

A bundle holds named parts and knows no other package's types; whoever owns a type turns it into a part and back.
Loading a bundle cannot execute code.
"""

from gmmdask.registry.bundle import FORMAT_VERSION, Bundle, Part, list_bundles, load_bundle, save_bundle

__all__ = ["FORMAT_VERSION", "Bundle", "Part", "list_bundles", "load_bundle", "save_bundle"]
