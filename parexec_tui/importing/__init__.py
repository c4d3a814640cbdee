"""Plans out of what other tools run: Makefiles, ninja files. One module for each format; `formats` is the table."""
