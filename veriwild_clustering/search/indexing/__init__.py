"""What an index is made of: FAISS's candidates, the rows that win among them, and the files."""
