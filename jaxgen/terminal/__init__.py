"""What a person sees and says while something runs: lines, bars, tables, stop signals."""
