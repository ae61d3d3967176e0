"""Questions about images in words: what is asked, who answers, and what is known of earlier answers."""
