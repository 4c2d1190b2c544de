"""What can be tested without measuring: `python3 -m unittest discover --start-directory bench --top-level-directory .`"""
