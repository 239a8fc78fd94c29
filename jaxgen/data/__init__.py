"""Where rows come from and in which order: sources, the order of rows, the batch pipeline."""
