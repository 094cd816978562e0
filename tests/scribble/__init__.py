"""Visual Prompting, proved: strokes, features, a classifier, rules."""
