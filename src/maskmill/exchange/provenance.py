"""What our own files say of how a mask came to be, beside what their form knows."""

PROVENANCE = "maskmill"
"""Under this attribute a mask carries it."""
KEPT = ("made_by", "author", "stage", "seconds", "clicks", "edits", "review")
"""What is carried."""
IMPORTS = "import/"
"""How the names of operations begin that bring masks in, whatever stage those were made in."""
