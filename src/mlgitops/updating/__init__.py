"""A newer version of tables that another repository makes, proposed as a pull request.

read the imports → ask each source → choose → take, hold against the contract, train → commit,
publish, push → open. What is done stands in git and in the storage; whoever is killed anywhere and
starts again does no step twice.
"""
