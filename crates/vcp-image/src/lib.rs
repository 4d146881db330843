//! Photos in, pictures out: decoding, Pillow-exact resizing, normalising, smoothing, regions, overlays.
