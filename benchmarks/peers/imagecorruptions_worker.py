"""Times imagecorruptions 1.1.2 in an environment of its own; imports nothing of this library.

Each line on stdin, "name side severity images", is answered by one on stdout: CPU seconds per
image. The package needs setuptools below 80, NumPy below 2 and scikit-image 0.20 with
`multichannel=True` replaced by `channel_axis=-1` in its corruptions.py.
"""

from __future__ import annotations

import sys
import time
import warnings

warnings.filterwarnings("ignore")


def main() -> None:
    """Answer until stdin ends."""
    import cv2  # type: ignore[import-not-found, unused-ignore]
    import numpy as np
    from imagecorruptions import corrupt  # type: ignore[import-not-found, unused-ignore]

    cv2.setNumThreads(1)
    for line in sys.stdin:
        name, side, severity, images = line.split()
        rng = np.random.default_rng(0)
        coarse = rng.integers(0, 256, (int(images), 8, 8, 3)).astype(np.uint8)
        x = [cv2.resize(one, (int(side), int(side))) for one in coarse]
        began = time.process_time()
        for image in x:
            corrupt(image, corruption_name=name, severity=int(severity))
        print((time.process_time() - began) / len(x), flush=True)


if __name__ == "__main__":
    main()
