"""Clustering by a criterion written in words: label each image, name the groups, give each image to a group."""
