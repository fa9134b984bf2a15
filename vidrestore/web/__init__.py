"""``vidrestore web``: the program in a browser.

Everything but ``page`` and ``server`` works without Gradio. Films are read and restored by child
processes: what a damaged film does to one of them does no harm to the page.
"""
