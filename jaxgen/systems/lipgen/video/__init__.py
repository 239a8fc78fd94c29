"""From video files to mouth crops: decoding, faces, landmarks, alignment."""
