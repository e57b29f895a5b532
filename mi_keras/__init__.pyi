from .auditing.audit import audit as audit
from .auditing.options import Options as Options
from .auditing.report import Report as Report
from .auditing.verdict import Tolerance as Tolerance
from .errors import InputError as InputError

__version__: str
