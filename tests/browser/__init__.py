"""The annotation tool in a real Chromium."""
