"""Facts about the machine: processors, memory, packages, folders. Does not import JAX."""
