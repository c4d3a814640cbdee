"""Makes the plan that will run of the plan as it is written: variables filled in, families replaced by their members.

A document goes in and a document comes out, which `reading` reads like any other; `origins` tells where in the file
a key of it stands.
"""
