"""Servers on loopback that stand in for those outside.

They speak the contracts of the ONS ArcGIS services, of Overpass and of a plain file server,
faults included, and import nothing of the package: what they know of it they know from the wire.
"""

from streetimd_tests.standins.serving import Addresses, serve_real_data, serve_small_world

__all__ = ["Addresses", "serve_real_data", "serve_small_world"]
