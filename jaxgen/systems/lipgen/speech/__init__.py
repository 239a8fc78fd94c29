"""What words sound and look like: phonemes, visemes and the words that they cannot tell apart."""
