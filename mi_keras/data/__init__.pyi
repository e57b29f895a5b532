from .face_sources import open_faces as open_faces
from .photographs import open_photographs as open_photographs
from .source import Source as Source
from .sources import load_source as load_source
from .splits import Splits as Splits
from .splits import make_splits as make_splits
