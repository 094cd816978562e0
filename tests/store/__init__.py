"""The store, proved: each promise with the fault that would break it."""
