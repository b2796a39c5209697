"""Domains, few-label splits, views and batches."""
