"""From a reader's windows to words with times: sliding, segmenting, sentences, subtitles."""
