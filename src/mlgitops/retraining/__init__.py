"""From production back to a pull request: rows that got their label train the next model.

observe → decide → gather → append → train → compare → commit, publish, push → open. What is done
stands in git and in the storage; whoever is killed anywhere and starts again does no step twice.
"""
