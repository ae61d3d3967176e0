"""What is known of networks that others have trained."""
