"""A helper beside the tests, which is no test."""
