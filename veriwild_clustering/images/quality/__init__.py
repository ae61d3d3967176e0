"""How good an image is technically, apart from what it shows: numbers measured from its pixels."""
