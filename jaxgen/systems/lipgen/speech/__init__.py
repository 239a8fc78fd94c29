"""What words sound and look like: pronouncing dictionaries and visemes."""
