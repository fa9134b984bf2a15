"""Reads files as frames and writes frames to files: the only package that uses FFmpeg."""
