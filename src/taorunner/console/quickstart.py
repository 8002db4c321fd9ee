"""tmp"""
def run_quickstart(folder, images, epochs, plain): return 0
