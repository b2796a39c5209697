"""From student to device: files that run without hatlit, and predictions from them."""
