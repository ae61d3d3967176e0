"""What the page needs beyond the dataset, made once and kept in its folder."""
