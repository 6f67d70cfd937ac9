"""One module for each kind of camera or file."""
