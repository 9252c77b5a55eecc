from hypothesis import settings

# Nothing is kept between runs, and every run tries the same examples.
settings.register_profile("rowlane", database=None, derandomize=True)
settings.load_profile("rowlane")
