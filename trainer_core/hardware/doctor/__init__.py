"""What on this machine would trouble a run, and what to do about it: one file a kind of finding.

Every file has a function `look(place)` that yields findings, and touches nothing. Nothing heavy is
imported: the versions of libraries come from their metadata.
"""
