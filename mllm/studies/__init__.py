"""A study is a graph of stages; each is trained into a folder and evaluated there."""
