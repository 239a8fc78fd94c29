"""Interaction with the user while something runs: lines, bars, tables, stop signals."""
