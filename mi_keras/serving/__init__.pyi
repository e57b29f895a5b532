from .client import Client as Client
from .contract import ModelSpec as ModelSpec
from .contract import ServedModel as ServedModel
from .contract import ServerError as ServerError
from .contract import Unavailable as Unavailable
