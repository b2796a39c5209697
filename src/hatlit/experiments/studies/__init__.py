"""One file a study; the name of the file is that of the study."""
