"""What there is to run on: processors, memory, packages, folders. Imports no JAX."""
