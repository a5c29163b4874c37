"""Pictures that peers are asked about, normalised as the detectors are."""
import numpy as np
import torch

MEAN, DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


def picture(h, w):
    y, x, c = np.mgrid[0:h, 0:w, 0:3]
    return ((x * (c + 2) + y * 3 + (y * w + x) % 101) % 256).astype(np.uint8)


def normalised(levels):
    normed = ((levels.astype(np.float32) / 255 - MEAN) / DEVIATION).astype(np.float32)
    return torch.from_numpy(normed).permute(2, 0, 1)[None].contiguous()
