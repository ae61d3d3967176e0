"""Algorithms over arrays: vectors in, labels, trees and models out; they know no descriptor and no partition."""
