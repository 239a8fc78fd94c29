"""From a video file to crops of the mouth: frames, faces, landmarks, alignment."""
