"""The one way out to a vendor: time-outs, retries, the request budget, limits, no secret in errors.

Not here: what an answer means (the vendor's own folder) and how it is read (decode.py).
"""

from pipelines.http.budget import Budget as Budget
from pipelines.http.client import RETRIED_STATUSES as RETRIED_STATUSES
from pipelines.http.client import TRIES as TRIES
from pipelines.http.client import VendorClient as VendorClient
from pipelines.http.client import may_tell_of_pages as may_tell_of_pages
from pipelines.http.wire import Answer as Answer
from pipelines.limits import Limits as Limits
from pipelines.source import VendorError as VendorError
