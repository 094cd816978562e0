"""The data engine, proved: rounds that go on, a gate that refuses, and people who are played."""
