"""maskmill: the data engine of "Segment Anything", open and self-hosted."""

__version__ = "0.1.0"
