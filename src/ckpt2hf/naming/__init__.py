"""Bijections between somebody's tensor names and slots."""
