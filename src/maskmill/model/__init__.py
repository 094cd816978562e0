"""The promptable model of "Segment Anything", one module per component of the paper.

Source: Kirillov et al., arXiv 2304.02643, section 3 and appendix A.
Parameters carry the names of the published checkpoints, so that those load by their own keys.
Importing this package imports torch; the floors below and plain inference never do.
"""
