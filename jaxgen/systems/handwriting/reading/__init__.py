"""From what a recogniser says of each frame to text: symbols, CTC, decoders, spans, confidence, error rates."""
