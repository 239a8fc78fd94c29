"""Diffusion as pure functions: schedules, v-prediction, DDIM, guidance."""
