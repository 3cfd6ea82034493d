"""The hub as a black box, against vendors that others wrote."""
