"""Composition of the service: ``uvicorn metering.asgi:create_app --factory``.

The environment (with ``.env`` in the working directory, which it overrides) and the clock are read here and nowhere else.
"""

import os
import time

from dotenv import dotenv_values
from fastapi import FastAPI

from metering.api.app import create_api
from metering.operations.open_service import open_service
from metering.operations.settings import read_settings


def create_app() -> FastAPI:
    """Open the service as the environment says and return the application; a database that does not exist is made.

    Raises SettingsError, DatabaseUrlError, SchemaOutOfDateError.
    """
    stated = {name: value for name, value in dotenv_values(".env").items() if value is not None}
    settings = read_settings({**stated, **os.environ})
    return create_api(open_service(settings, _now, create=True))


def _now() -> int:
    return time.time_ns() // 1_000
