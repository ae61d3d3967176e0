"""Images into vectors: networks and descriptors without weights, all from one decoding, into files that grow."""
