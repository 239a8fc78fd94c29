"""From windows to words with times: sliding windows, segmentation, sentences, subtitles."""
