"""``python -m tao-runner``: the name under which the original tool was started."""

from taorunner.__main__ import main

if __name__ == "__main__":
    main()
