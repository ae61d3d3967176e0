"""What a person sees in the browser: tabs by Gradio, and a map of all images of our own."""
