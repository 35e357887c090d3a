"""The plugin as its clients see it, run by Python."""

import unittest

from main import app
from weft_sdk.testing import TestApp


class Greetings(unittest.TestCase):
    def test_greets_by_name(self) -> None:
        response = TestApp(app).get("/greetings/ann")
        self.assertEqual(response.status, 200)
        self.assertEqual(response.json(), {"text": "Hello, ann!"})
