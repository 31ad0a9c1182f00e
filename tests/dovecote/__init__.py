"""Tests of the library on the real servers, with a small service of their own."""
