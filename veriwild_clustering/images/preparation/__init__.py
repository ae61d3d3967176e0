"""What an image goes through before a network sees it: super-resolution, detection, crop."""
