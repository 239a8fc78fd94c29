"""Where rows come from and in what order: sources, row order, the batch pipeline."""
