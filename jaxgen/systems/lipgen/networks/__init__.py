"""Networks that read words from lips: a front-end, back-ends over time, and a branch for visemes."""
