"""Run the project's own pull-request workflow on this machine, and show what it posts.

act (https://github.com/nektos/act) executes the workflow file; a small stand-in answers
for the GitHub API; own stand-ins take the place of actions from the marketplace.
"""
