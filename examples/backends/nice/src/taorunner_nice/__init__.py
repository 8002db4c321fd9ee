"""The backend "nice" for taorunner."""
