"""What can be said about clusters: attributes counted, compared and located, with how certain it is."""
