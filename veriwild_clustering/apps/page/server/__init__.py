"""The services over HTTP: routes, errors and what keeps strangers out."""
