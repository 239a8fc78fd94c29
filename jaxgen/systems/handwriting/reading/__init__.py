"""From a recogniser's frames to text: symbols, CTC, decoders, spans, confidence, error rates."""
